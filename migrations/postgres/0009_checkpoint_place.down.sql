ALTER TABLE checkpoints DROP COLUMN place;
