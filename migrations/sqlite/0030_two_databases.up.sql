-- What lets the same statements run on PostgreSQL, where truth is not a number and JSON is read by other functions.

DROP INDEX upload_files_by_sha256;
CREATE INDEX upload_files_by_sha256 ON upload_files (sha256) WHERE done;

-- Which task an item is about; `run` holds everything about it.
ALTER TABLE work_items ADD COLUMN profile TEXT NOT NULL DEFAULT '';
ALTER TABLE work_items ADD COLUMN task TEXT NOT NULL DEFAULT '';
UPDATE work_items SET profile = json_extract(run, '$.profile'), task = json_extract(run, '$.task');

-- A row that is reported again replaces the one before.
CREATE TRIGGER board_version_reported_again AFTER UPDATE ON reported BEGIN UPDATE board_version SET n = n + 1; END;

-- Accounts with their roles in projects, as one JSON object.
CREATE VIEW accounts AS
SELECT users.*, (SELECT json_group_object(project, json(roles)) FROM project_roles WHERE user_id = users.id) AS projects FROM users;
