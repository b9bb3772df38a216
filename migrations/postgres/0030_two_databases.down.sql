DROP VIEW accounts;
ALTER TABLE work_items DROP COLUMN task;
ALTER TABLE work_items DROP COLUMN profile;
