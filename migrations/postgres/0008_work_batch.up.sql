-- The number of the last batch taken under the present lease: a batch sent twice counts once.

ALTER TABLE work_items ADD COLUMN batch BIGINT NOT NULL DEFAULT 0;
