-- What the file system said of a checkpoint's files when they were examined: a change of it is a reason to read them again.

ALTER TABLE checkpoints ADD COLUMN stamps TEXT COLLATE "C"; -- JSON
