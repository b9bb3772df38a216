-- What a release is judged by beside its own lineage file, and publication steps in both languages.

ALTER TABLE releases ADD COLUMN path TEXT COLLATE "C" NOT NULL DEFAULT 'lineage.toml';   -- of the lineage file, as its parents see it
ALTER TABLE releases ADD COLUMN parents TEXT COLLATE "C" NOT NULL DEFAULT '{}';          -- JSON object: path -> blob key
ALTER TABLE releases ADD COLUMN given TEXT COLLATE "C" NOT NULL DEFAULT '[]';            -- JSON list: the files that its author gave
ALTER TABLE publish_steps ADD COLUMN detail_ja TEXT COLLATE "C" NOT NULL DEFAULT '';     -- detail holds the English sentence
UPDATE publish_steps SET detail_ja = detail;

CREATE INDEX releases_by_state ON releases (state);
