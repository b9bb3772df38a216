-- What lets the same statements run on SQLite.

-- Which task an item is about; `run` holds everything about it.
ALTER TABLE work_items ADD COLUMN profile TEXT COLLATE "C" NOT NULL DEFAULT '';
ALTER TABLE work_items ADD COLUMN task TEXT COLLATE "C" NOT NULL DEFAULT '';
UPDATE work_items SET profile = json_extract(run, '$.profile'), task = json_extract(run, '$.task');

-- Accounts with their roles in projects, as one JSON object.
CREATE VIEW accounts AS
SELECT users.*, COALESCE((SELECT json_object_agg(project, roles::json)::text FROM project_roles WHERE user_id = users.id), '{}') AS projects FROM users;
