-- Checkpoints that arrive in pieces, and how far each of their files is.

CREATE TABLE uploads (
    id      TEXT    NOT NULL PRIMARY KEY,
    run_id  TEXT    NOT NULL REFERENCES runs (id),
    step    INTEGER NOT NULL,
    tokens  INTEGER NOT NULL,
    key     TEXT    NOT NULL,           -- SHA-256 over step, tokens and the list of files: who asks again finds this one
    who     TEXT    NOT NULL,           -- account that began it
    created INTEGER NOT NULL,
    updated INTEGER NOT NULL,
    UNIQUE (run_id, key)
) STRICT;

CREATE INDEX uploads_by_age ON uploads (updated);

CREATE TABLE upload_files (
    upload_id TEXT    NOT NULL REFERENCES uploads (id) ON DELETE CASCADE,
    path      TEXT    NOT NULL,
    size      INTEGER NOT NULL,
    sha256    TEXT    NOT NULL,         -- as announced
    received  INTEGER NOT NULL,         -- bytes that are on the disk; what lies behind them was never accepted
    done      INTEGER NOT NULL,         -- 1: all bytes are there and have this SHA-256
    PRIMARY KEY (upload_id, path)
) STRICT;

CREATE INDEX upload_files_by_sha256 ON upload_files (sha256) WHERE done = 1;
