ALTER TABLE checkpoints DROP COLUMN stamps;
