-- What goes out by itself to a private repository, under a blanket approval for a time.

CREATE TABLE channels (
    id               TEXT    NOT NULL PRIMARY KEY,
    project          TEXT    NOT NULL,                       -- projects.name
    name             TEXT    NOT NULL,
    state            TEXT    NOT NULL,
    author_id        TEXT    NOT NULL REFERENCES users (id),
    reference_id     TEXT    NOT NULL REFERENCES releases (id), -- the published release that the others are like
    runs             TEXT    NOT NULL,                       -- glob over names of runs
    takes            TEXT    NOT NULL,                       -- branch_ends, run_ends, every
    revision         TEXT    NOT NULL,                       -- branch on the Hub, with {run} and {step}
    until            INTEGER NOT NULL,
    digest           TEXT    NOT NULL,                       -- of exactly what is approved
    approvals_needed INTEGER NOT NULL,
    active_since     INTEGER,                                -- the last approval that was needed
    version          INTEGER NOT NULL,
    created          INTEGER NOT NULL,
    updated          INTEGER NOT NULL
) STRICT;

CREATE TABLE channel_approvals (
    seq        INTEGER NOT NULL PRIMARY KEY,
    channel_id TEXT    NOT NULL REFERENCES channels (id),
    user_id    TEXT    NOT NULL REFERENCES users (id),
    user_name  TEXT    NOT NULL,
    digest     TEXT    NOT NULL,
    comment    TEXT    NOT NULL,
    at         INTEGER NOT NULL,
    UNIQUE (channel_id, user_id)
) STRICT;

-- Each checkpoint is taken once, whatever becomes of its release.
CREATE TABLE channel_releases (
    channel_id    TEXT NOT NULL REFERENCES channels (id),
    checkpoint_id TEXT NOT NULL REFERENCES checkpoints (id),
    release_id    TEXT NOT NULL REFERENCES releases (id),
    PRIMARY KEY (channel_id, checkpoint_id)
) STRICT;

ALTER TABLE releases ADD COLUMN channel TEXT;                -- channels.id while its blanket approval carries the release
