-- Approvals of two kinds, people's texts in the card, and the end of a publication.

ALTER TABLE approvals ADD COLUMN kind TEXT NOT NULL DEFAULT 'approval';  -- approval, or break_glass
ALTER TABLE releases ADD COLUMN project TEXT NOT NULL DEFAULT 'default';   -- projects.name
ALTER TABLE releases ADD COLUMN card_edits TEXT NOT NULL DEFAULT '{}';   -- JSON: language -> section -> text
ALTER TABLE releases ADD COLUMN generated TEXT NOT NULL DEFAULT '{}';    -- JSON object: path -> blob key, files that the service made
ALTER TABLE releases ADD COLUMN prepared TEXT;                           -- JSON: the weights as released, when they are not the checkpoint's
ALTER TABLE releases ADD COLUMN successor TEXT;                          -- releases.id
ALTER TABLE releases ADD COLUMN yank TEXT;                               -- JSON: reason, when, how far
ALTER TABLE releases ADD COLUMN publish_at INTEGER;                      -- not before

CREATE UNIQUE INDEX approvals_that_count_by_kind ON approvals (release_id, user_id, digest, kind) WHERE void = 0;
DROP INDEX approvals_that_count;
