-- Rows of the leaderboard that were reported elsewhere, and what finds the rows of our own.

CREATE TABLE reported (
    model    TEXT    NOT NULL,
    source   TEXT    NOT NULL,                  -- who published it, with the version
    family   TEXT,
    parameters INTEGER,
    active   INTEGER,                           -- parameters that a token meets, where that is fewer
    tokens   INTEGER,
    model_license TEXT,                         -- of the model
    license  TEXT    NOT NULL,                  -- of the numbers
    day      TEXT    NOT NULL,                  -- of the publication, YYYY-MM-DD
    remark   TEXT,
    scores   TEXT    NOT NULL,                  -- JSON list: profile, task, split, shots, share (0-1)
    by       TEXT    NOT NULL,
    at       INTEGER NOT NULL,
    PRIMARY KEY (model, source)
) STRICT;

CREATE INDEX evaluations_by_suite ON evaluations (suite, created);
