-- What runs report. Rows of metrics lie in chunks, each the rows of one batch or of several that were folded together; a process that
-- reports is a segment; what happened is an event with an id, which people confirm or dismiss.

CREATE TABLE run_segments (
    run_id     TEXT    NOT NULL REFERENCES runs (id),
    number     INTEGER NOT NULL,            -- from 1
    writer     TEXT    NOT NULL,
    host       TEXT    NOT NULL,
    first_step INTEGER NOT NULL,
    last_step  INTEGER NOT NULL,
    first_at   INTEGER NOT NULL,
    last_at    INTEGER NOT NULL,
    batches    INTEGER NOT NULL,
    last_seq   INTEGER NOT NULL,
    PRIMARY KEY (run_id, number)
) STRICT, WITHOUT ROWID;

CREATE TABLE metric_chunks (
    id         INTEGER NOT NULL PRIMARY KEY,  -- order of arrival
    run_id     TEXT    NOT NULL REFERENCES runs (id),
    segment    INTEGER NOT NULL,
    level      INTEGER NOT NULL,              -- how often it was folded
    first_step INTEGER NOT NULL,
    last_step  INTEGER NOT NULL,
    rows       INTEGER NOT NULL,
    body       BLOB    NOT NULL               -- columns, compressed (sekisho-store's chunk.rs)
) STRICT;

CREATE INDEX metric_chunks_of_run ON metric_chunks (run_id, segment, level, id);

-- Rows of before come into a chunk when the database is opened; the table stays for that.

-- A number that comes again with other rows is another batch, and refused.
ALTER TABLE metric_batches ADD COLUMN digest TEXT;

-- What the detectors know of the rows so far, and the loss as lists of runs draw it.
CREATE TABLE run_watches (
    run_id    TEXT NOT NULL PRIMARY KEY REFERENCES runs (id),
    detectors TEXT NOT NULL,                -- JSON
    sketch    TEXT NOT NULL                 -- JSON
) STRICT, WITHOUT ROWID;

-- A page lists what goes on from its run, however many runs there are.
CREATE INDEX runs_by_parent ON runs (json_extract(spec, '$.parent.run'));

CREATE TABLE run_plans (
    seq    INTEGER NOT NULL PRIMARY KEY,
    run_id TEXT    NOT NULL REFERENCES runs (id),
    plan   TEXT    NOT NULL,                -- JSON
    reason TEXT    NOT NULL,
    by     TEXT    NOT NULL,
    at     INTEGER NOT NULL
) STRICT;

CREATE INDEX run_plans_of_run ON run_plans (run_id, seq);

CREATE TABLE kept_events (
    id           TEXT    NOT NULL PRIMARY KEY,
    run_id       TEXT    NOT NULL REFERENCES runs (id),
    step         INTEGER NOT NULL,
    kind         TEXT    NOT NULL,
    note         TEXT    NOT NULL,
    at           INTEGER NOT NULL,
    status       TEXT    NOT NULL,
    by           TEXT    NOT NULL,
    seen         TEXT,                      -- JSON
    lost_seconds REAL,
    decided_by   TEXT,
    decided_at   INTEGER,
    remark       TEXT    NOT NULL,
    version      INTEGER NOT NULL,
    UNIQUE (run_id, step, kind, note)
) STRICT;

-- 25 hexadecimal digits after a zero are an id as well.
INSERT INTO kept_events (id, run_id, step, kind, note, at, status, by, remark, version)
SELECT '0' || substr(lower(hex(randomblob(13))), 1, 25), run_id, step, kind, note, at, 'reported', '', '', 1 FROM run_events;

DROP TABLE run_events;
ALTER TABLE kept_events RENAME TO run_events;
CREATE INDEX run_events_of_run ON run_events (run_id, step);
CREATE INDEX run_events_by_status ON run_events (status) WHERE status = 'proposed';
