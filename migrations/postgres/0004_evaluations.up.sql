-- Evaluations, the queue of their work items, the record chunks that workers sent, and the scores.

CREATE TABLE evaluations (
    id            TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    checkpoint_id TEXT COLLATE "C" NOT NULL REFERENCES checkpoints (id),
    suite         TEXT COLLATE "C" NOT NULL,
    state         TEXT COLLATE "C" NOT NULL,
    environment   TEXT COLLATE "C" NOT NULL,  -- JSON object
    created       BIGINT           NOT NULL,
    updated       BIGINT           NOT NULL,
    UNIQUE (checkpoint_id, suite)
);

CREATE INDEX evaluations_by_age ON evaluations (created);

CREATE TABLE work_items (
    id            TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    evaluation_id TEXT COLLATE "C" NOT NULL REFERENCES evaluations (id),
    checkpoint_id TEXT COLLATE "C" NOT NULL REFERENCES checkpoints (id),
    run           TEXT COLLATE "C" NOT NULL,  -- JSON: profile, task, split, limit, shots
    digest        TEXT COLLATE "C" NOT NULL,
    position      BIGINT           NOT NULL,
    priority      BIGINT           NOT NULL,
    pool          TEXT COLLATE "C" NOT NULL,
    queued        BIGINT           NOT NULL,
    not_before    BIGINT           NOT NULL,  -- a retry waits until then
    state         TEXT COLLATE "C" NOT NULL,
    attempt       BIGINT           NOT NULL,
    fence         BIGINT           NOT NULL,
    worker        TEXT COLLATE "C",
    lease_until   BIGINT,
    finished      BIGINT           NOT NULL,
    total         BIGINT,
    seconds       DOUBLE PRECISION NOT NULL,
    prompt        BIGINT           NOT NULL,  -- tokens
    prefilled     BIGINT           NOT NULL,  -- tokens
    generated     BIGINT           NOT NULL,  -- tokens
    error         TEXT COLLATE "C",
    updated       BIGINT           NOT NULL,
    UNIQUE (evaluation_id, position)
);

CREATE INDEX work_items_by_state ON work_items (state, priority, queued);
CREATE INDEX work_items_of_checkpoint ON work_items (checkpoint_id);

CREATE TABLE record_chunks (
    work_id TEXT COLLATE "C" NOT NULL REFERENCES work_items (id),
    seq     BIGINT           NOT NULL,
    blob    TEXT COLLATE "C" NOT NULL,
    items   TEXT COLLATE "C" NOT NULL,  -- JSON list; no item is in two chunks of one work item
    PRIMARY KEY (work_id, seq)
);

CREATE TABLE scores (
    work_id     TEXT COLLATE "C" NOT NULL REFERENCES work_items (id),
    seq         BIGINT           NOT NULL,
    is_primary  BOOLEAN          NOT NULL,
    profile     TEXT COLLATE "C" NOT NULL,
    task        TEXT COLLATE "C" NOT NULL,
    split       TEXT COLLATE "C" NOT NULL,
    metric      TEXT COLLATE "C" NOT NULL,
    value       DOUBLE PRECISION,           -- null: not a number, as a correlation of constant answers is
    stderr      DOUBLE PRECISION,
    low         DOUBLE PRECISION,
    high        DOUBLE PRECISION,
    n           BIGINT           NOT NULL,
    shots       BIGINT           NOT NULL,
    truncated   BIGINT           NOT NULL,
    fingerprint TEXT COLLATE "C" NOT NULL,
    seconds     DOUBLE PRECISION NOT NULL,
    prompt      BIGINT           NOT NULL,  -- tokens
    prefilled   BIGINT           NOT NULL,  -- tokens
    generated   BIGINT           NOT NULL,  -- tokens
    PRIMARY KEY (work_id, seq)
);
