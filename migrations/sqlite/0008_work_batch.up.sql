-- The number of the last batch taken under the present lease: a batch sent twice counts once.

ALTER TABLE work_items ADD COLUMN batch INTEGER NOT NULL DEFAULT 0;
