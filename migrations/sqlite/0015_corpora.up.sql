-- The registry of corpora. What it says of a subset is the truth; lineage files and run specifications make claims.

CREATE TABLE subsets (
    id                TEXT    NOT NULL PRIMARY KEY,   -- the name that lineage files use
    corpus            TEXT    NOT NULL,               -- what it is part of, e.g. llm-jp-corpus-v3
    language          TEXT,
    tokens            INTEGER,
    tokenizer         TEXT,                           -- that counted them
    level             TEXT,
    license           TEXT,
    evidence          TEXT,                           -- name of the document that shows level and licence
    evidence_sha256   TEXT,
    generator         TEXT,
    generator_license TEXT,
    version           INTEGER NOT NULL,
    created           INTEGER NOT NULL,
    updated           INTEGER NOT NULL
) STRICT;

CREATE TABLE subset_changes (
    seq       INTEGER NOT NULL PRIMARY KEY,
    subset_id TEXT    NOT NULL REFERENCES subsets (id),
    user_name TEXT    NOT NULL,
    level     TEXT,                                   -- from then on
    before    TEXT,                                   -- JSON of the subset, absent at its registration
    reason    TEXT    NOT NULL,
    at        INTEGER NOT NULL
) STRICT;

CREATE INDEX changes_of_subset ON subset_changes (subset_id, seq);
