-- Approvals of two kinds, people's texts in the card, and the end of a publication.

ALTER TABLE approvals ADD COLUMN kind TEXT COLLATE "C" NOT NULL DEFAULT 'approval';  -- approval, or break_glass
ALTER TABLE releases ADD COLUMN project TEXT COLLATE "C" NOT NULL DEFAULT 'default';   -- projects.name
ALTER TABLE releases ADD COLUMN card_edits TEXT COLLATE "C" NOT NULL DEFAULT '{}';   -- JSON: language -> section -> text
ALTER TABLE releases ADD COLUMN generated TEXT COLLATE "C" NOT NULL DEFAULT '{}';    -- JSON object: path -> blob key, files that the service made
ALTER TABLE releases ADD COLUMN prepared TEXT COLLATE "C";                           -- JSON: the weights as released, when they are not the checkpoint's
ALTER TABLE releases ADD COLUMN successor TEXT COLLATE "C";                          -- releases.id
ALTER TABLE releases ADD COLUMN yank TEXT COLLATE "C";                               -- JSON: reason, when, how far
ALTER TABLE releases ADD COLUMN publish_at BIGINT;                      -- not before

CREATE UNIQUE INDEX approvals_that_count_by_kind ON approvals (release_id, user_id, digest, kind) WHERE NOT void;
DROP INDEX approvals_that_count;
