-- Every policy set that ever judged here, whole, so that an old decision can be read and repeated; and which was in force since when.

CREATE TABLE policy_sets (
    digest  TEXT NOT NULL PRIMARY KEY,
    name    TEXT NOT NULL,
    version TEXT NOT NULL,
    text    TEXT NOT NULL
) STRICT;

CREATE TABLE policies_in_force (
    seq    INTEGER NOT NULL PRIMARY KEY,
    digest TEXT    NOT NULL REFERENCES policy_sets (digest),
    at     INTEGER NOT NULL
) STRICT;
