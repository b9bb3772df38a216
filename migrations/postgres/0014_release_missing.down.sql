ALTER TABLE releases DROP COLUMN missing;
