DROP VIEW accounts;
DROP TRIGGER board_version_reported_again;
ALTER TABLE work_items DROP COLUMN task;
ALTER TABLE work_items DROP COLUMN profile;
DROP INDEX upload_files_by_sha256;
CREATE INDEX upload_files_by_sha256 ON upload_files (sha256) WHERE done = 1;
