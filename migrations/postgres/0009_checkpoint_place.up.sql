-- Where the store's own copy of a checkpoint goes, noted before the files are moved there: a move that was cut off by a kill is
-- found again.

ALTER TABLE checkpoints ADD COLUMN place TEXT COLLATE "C";
