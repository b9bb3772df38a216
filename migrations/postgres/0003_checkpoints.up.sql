CREATE TABLE checkpoints (
    id           TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    run_id       TEXT COLLATE "C" NOT NULL REFERENCES runs (id),
    step         BIGINT           NOT NULL,
    tokens       BIGINT           NOT NULL,
    state        TEXT COLLATE "C" NOT NULL,
    refusal      TEXT COLLATE "C",
    path         TEXT COLLATE "C" NOT NULL,
    owned        BOOLEAN          NOT NULL,  -- the folder is the store's own copy
    digest       TEXT COLLATE "C",           -- that of the verification, for lookups
    verification TEXT COLLATE "C",           -- JSON
    created      BIGINT           NOT NULL,
    updated      BIGINT           NOT NULL
);

-- A refused checkpoint may be handed over again, mended.
CREATE UNIQUE INDEX checkpoints_of_run ON checkpoints (run_id, step) WHERE state <> 'refused';
CREATE INDEX checkpoints_by_run ON checkpoints (run_id, step);
CREATE INDEX checkpoints_by_digest ON checkpoints (digest);
CREATE INDEX checkpoints_by_state ON checkpoints (state, created);
CREATE INDEX checkpoints_by_age ON checkpoints (created);
