-- Which items of benchmarks were found in the training text of a run; one report per task, split and data.

CREATE TABLE contamination_reports (
    run_id    TEXT    NOT NULL REFERENCES runs (id),
    profile   TEXT    NOT NULL,
    task      TEXT    NOT NULL,
    split     TEXT    NOT NULL,
    data      TEXT    NOT NULL,                       -- SHA-256 over names and digests of the data files
    report    TEXT    NOT NULL,                       -- JSON: items looked for, too short, found
    method    TEXT    NOT NULL,                       -- JSON: units in a row
    subsets   TEXT    NOT NULL,                       -- JSON: what was looked through, with numbers of documents
    user_name TEXT    NOT NULL,
    at        INTEGER NOT NULL,
    PRIMARY KEY (run_id, profile, task, split, data)
) STRICT;
