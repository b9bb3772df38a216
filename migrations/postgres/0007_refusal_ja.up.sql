-- Why a checkpoint was refused, in Japanese too; `refusal` holds the English sentence.

ALTER TABLE checkpoints ADD COLUMN refusal_ja TEXT COLLATE "C";
