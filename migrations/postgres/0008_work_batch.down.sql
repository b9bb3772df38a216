ALTER TABLE work_items DROP COLUMN batch;
