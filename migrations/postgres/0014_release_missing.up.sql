-- What a release's lineage file names and its author did not have.

ALTER TABLE releases ADD COLUMN missing TEXT COLLATE "C" NOT NULL DEFAULT '[]';   -- JSON list of paths
