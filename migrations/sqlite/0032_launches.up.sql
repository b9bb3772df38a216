-- Workers that were asked of a launcher together, so that a service that starts again finds them.

CREATE TABLE launches (
    id       TEXT NOT NULL PRIMARY KEY,
    launcher TEXT NOT NULL,               -- its name in the configuration
    pool     TEXT NOT NULL,
    job      TEXT NOT NULL,               -- its id at the launcher; empty before there is one
    state    TEXT NOT NULL CHECK (state IN ('starting', 'active', 'ended', 'refused')),
    tasks    TEXT NOT NULL,               -- as JSON, by number
    message  TEXT NOT NULL,
    folder   TEXT NOT NULL,
    asked    TEXT NOT NULL,               -- 'cancel', 'requeue N', or nothing
    created  INTEGER NOT NULL,
    updated  INTEGER NOT NULL
) STRICT;

CREATE INDEX launches_open ON launches (id) WHERE state IN ('starting', 'active') OR asked <> '';

-- How launchers stand, beyond what the configuration says of them.
CREATE TABLE launchers (
    name       TEXT NOT NULL PRIMARY KEY,
    paused     INTEGER NOT NULL,             -- 1 when somebody has told it to start none
    refusals   INTEGER NOT NULL,             -- in a row
    not_before INTEGER NOT NULL,
    message    TEXT NOT NULL
) STRICT;
