-- Training runs. The last report stands in the run's own row, so that lists never touch the metric rows.

CREATE TABLE runs (
    id             TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    name           TEXT COLLATE "C" NOT NULL UNIQUE,
    state          TEXT COLLATE "C" NOT NULL,
    spec           TEXT COLLATE "C",  -- canonical JSON
    spec_digest    TEXT COLLATE "C",
    planned_tokens BIGINT,
    suite          TEXT COLLATE "C",
    step           BIGINT           NOT NULL,
    tokens         BIGINT           NOT NULL,
    loss           DOUBLE PRECISION,
    created        BIGINT           NOT NULL,
    updated        BIGINT           NOT NULL
);

CREATE INDEX runs_by_report ON runs (updated);

CREATE TABLE metrics (
    run_id    TEXT COLLATE "C" NOT NULL REFERENCES runs (id),
    step      BIGINT           NOT NULL,
    tokens    BIGINT           NOT NULL,
    loss      DOUBLE PRECISION,
    ce        DOUBLE PRECISION,
    z_loss    DOUBLE PRECISION,
    lr        DOUBLE PRECISION,
    grad_norm DOUBLE PRECISION,
    seconds   DOUBLE PRECISION,
    PRIMARY KEY (run_id, step)
);

-- Batches received: what makes a batch that is sent again change nothing.
CREATE TABLE metric_batches (
    run_id TEXT COLLATE "C" NOT NULL REFERENCES runs (id),
    writer TEXT COLLATE "C" NOT NULL,
    seq    BIGINT           NOT NULL,
    PRIMARY KEY (run_id, writer, seq)
);

CREATE TABLE run_events (
    run_id TEXT COLLATE "C" NOT NULL REFERENCES runs (id),
    step   BIGINT           NOT NULL,
    kind   TEXT COLLATE "C" NOT NULL,
    note   TEXT COLLATE "C" NOT NULL,
    at     BIGINT           NOT NULL,
    PRIMARY KEY (run_id, step, kind, note)
);
