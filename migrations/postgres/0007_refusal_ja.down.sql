ALTER TABLE checkpoints DROP COLUMN refusal_ja;
