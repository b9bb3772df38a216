-- Checkpoints that arrive in pieces, and how far each of their files is.

CREATE TABLE uploads (
    id      TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    run_id  TEXT COLLATE "C" NOT NULL REFERENCES runs (id),
    step    BIGINT           NOT NULL,
    tokens  BIGINT           NOT NULL,
    key     TEXT COLLATE "C" NOT NULL,  -- SHA-256 over step, tokens and the list of files: who asks again finds this one
    who     TEXT COLLATE "C" NOT NULL,  -- account that began it
    created BIGINT           NOT NULL,
    updated BIGINT           NOT NULL,
    UNIQUE (run_id, key)
);

CREATE INDEX uploads_by_age ON uploads (updated);

CREATE TABLE upload_files (
    upload_id TEXT COLLATE "C" NOT NULL REFERENCES uploads (id) ON DELETE CASCADE,
    path      TEXT COLLATE "C" NOT NULL,
    size      BIGINT           NOT NULL,
    sha256    TEXT COLLATE "C" NOT NULL,  -- as announced
    received  BIGINT           NOT NULL,  -- bytes that are on the disk; what lies behind them was never accepted
    done      BOOLEAN          NOT NULL,  -- all bytes are there and have this SHA-256
    PRIMARY KEY (upload_id, path)
);

CREATE INDEX upload_files_by_sha256 ON upload_files (sha256) WHERE done;
