-- Workers that were asked of a launcher together, so that a service that starts again finds them.

CREATE TABLE launches (
    id       TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    launcher TEXT COLLATE "C" NOT NULL,               -- its name in the configuration
    pool     TEXT COLLATE "C" NOT NULL,
    job      TEXT COLLATE "C" NOT NULL,               -- its id at the launcher; empty before there is one
    state    TEXT COLLATE "C" NOT NULL CHECK (state IN ('starting', 'active', 'ended', 'refused')),
    tasks    TEXT COLLATE "C" NOT NULL,               -- as JSON, by number
    message  TEXT COLLATE "C" NOT NULL,
    folder   TEXT COLLATE "C" NOT NULL,
    asked    TEXT COLLATE "C" NOT NULL,               -- 'cancel', 'requeue N', or nothing
    created  BIGINT NOT NULL,
    updated  BIGINT NOT NULL
);

CREATE INDEX launches_open ON launches (id) WHERE state IN ('starting', 'active') OR asked <> '';

-- How launchers stand, beyond what the configuration says of them.
CREATE TABLE launchers (
    name       TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    paused     BIGINT NOT NULL,             -- 1 when somebody has told it to start none
    refusals   BIGINT NOT NULL,             -- in a row
    not_before BIGINT NOT NULL,
    message    TEXT COLLATE "C" NOT NULL
);
