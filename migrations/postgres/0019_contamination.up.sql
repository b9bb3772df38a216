-- Which items of benchmarks were found in the training text of a run; one report per task, split and data.

CREATE TABLE contamination_reports (
    run_id    TEXT COLLATE "C" NOT NULL REFERENCES runs (id),
    profile   TEXT COLLATE "C" NOT NULL,
    task      TEXT COLLATE "C" NOT NULL,
    split     TEXT COLLATE "C" NOT NULL,
    data      TEXT COLLATE "C" NOT NULL,  -- SHA-256 over names and digests of the data files
    report    TEXT COLLATE "C" NOT NULL,  -- JSON: items looked for, too short, found
    method    TEXT COLLATE "C" NOT NULL,  -- JSON: units in a row
    subsets   TEXT COLLATE "C" NOT NULL,  -- JSON: what was looked through, with numbers of documents
    user_name TEXT COLLATE "C" NOT NULL,
    at        BIGINT           NOT NULL,
    PRIMARY KEY (run_id, profile, task, split, data)
);
