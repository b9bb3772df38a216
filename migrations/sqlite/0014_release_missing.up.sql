-- What a release's lineage file names and its author did not have.

ALTER TABLE releases ADD COLUMN missing TEXT NOT NULL DEFAULT '[]';   -- JSON list of paths
