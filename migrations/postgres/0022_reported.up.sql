-- Rows of the leaderboard that were reported elsewhere, and what finds the rows of our own.

CREATE TABLE reported (
    model         TEXT COLLATE "C" NOT NULL,
    source        TEXT COLLATE "C" NOT NULL,  -- who published it, with the version
    family        TEXT COLLATE "C",
    parameters    BIGINT,
    active        BIGINT,                     -- parameters that a token meets, where that is fewer
    tokens        BIGINT,
    model_license TEXT COLLATE "C",           -- of the model
    license       TEXT COLLATE "C" NOT NULL,  -- of the numbers
    day           TEXT COLLATE "C" NOT NULL,  -- of the publication, YYYY-MM-DD
    remark        TEXT COLLATE "C",
    scores        TEXT COLLATE "C" NOT NULL,  -- JSON list: profile, task, split, shots, share (0-1)
    by            TEXT COLLATE "C" NOT NULL,
    at            BIGINT           NOT NULL,
    PRIMARY KEY (model, source)
);

CREATE INDEX evaluations_by_suite ON evaluations (suite, created);
