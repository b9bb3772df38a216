-- What happened, where it is told, what is told to each, and each try.

-- One row for each thing that happened, written with the change itself.
CREATE TABLE outbox (
    seq     INTEGER NOT NULL PRIMARY KEY,           -- the newest row is never removed, so no number comes twice
    kind    TEXT    NOT NULL,                       -- run.started …
    subject TEXT    NOT NULL,                       -- id of the run, checkpoint, evaluation, release, subset or endpoint
    detail  TEXT    NOT NULL,                       -- JSON: what the subject's own row does not say later
    at      INTEGER NOT NULL
) STRICT;

CREATE INDEX outbox_by_kind ON outbox (kind, at);

-- The last row of the outbox of which every endpoint has its message.
CREATE TABLE outbox_cursor (
    id  INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
    seq INTEGER NOT NULL
) STRICT;
INSERT INTO outbox_cursor (id, seq) VALUES (1, 0);

CREATE TABLE webhook_endpoints (
    id            TEXT    NOT NULL PRIMARY KEY,
    project       TEXT    NOT NULL,                 -- projects.name
    name          TEXT    NOT NULL,
    url           TEXT    NOT NULL,
    events        TEXT    NOT NULL,                 -- JSON: globs over kinds
    language      TEXT    NOT NULL,
    format        TEXT    NOT NULL,
    every_tokens  INTEGER,                          -- of run.progress
    state         TEXT    NOT NULL,
    generation    INTEGER NOT NULL,                 -- of the secret, which is derived and not kept
    rotated       INTEGER,                          -- when the generation before it was replaced
    failures      INTEGER NOT NULL,                 -- attempts in a row
    failing_since INTEGER,
    not_before    INTEGER NOT NULL,                 -- what the endpoint asked for: 429, 502, 504, Retry-After
    created       INTEGER NOT NULL,
    updated       INTEGER NOT NULL,
    UNIQUE (project, name)
) STRICT;

CREATE TABLE webhook_messages (
    id          TEXT    NOT NULL PRIMARY KEY,
    endpoint_id TEXT    NOT NULL REFERENCES webhook_endpoints (id) ON DELETE CASCADE,
    seq         INTEGER,                            -- outbox.seq; none of a ping
    kind        TEXT    NOT NULL,
    subject     TEXT    NOT NULL,
    body        TEXT    NOT NULL,                   -- as it is sent, byte for byte
    state       TEXT    NOT NULL,
    attempt     INTEGER NOT NULL,                   -- of the present schedule
    next_at     INTEGER NOT NULL,
    lease_until INTEGER,
    created     INTEGER NOT NULL,
    updated     INTEGER NOT NULL,
    UNIQUE (endpoint_id, seq)
) STRICT;

CREATE INDEX webhook_messages_due ON webhook_messages (next_at) WHERE state IN ('waiting', 'sending');
CREATE INDEX webhook_messages_of_endpoint ON webhook_messages (endpoint_id, created);

CREATE TABLE webhook_attempts (
    seq        INTEGER NOT NULL PRIMARY KEY,
    message_id TEXT    NOT NULL REFERENCES webhook_messages (id) ON DELETE CASCADE,
    at         INTEGER NOT NULL,
    status     INTEGER,                             -- none without an answer
    ms         INTEGER NOT NULL,
    error      TEXT,                                -- why there was no answer, or none was asked for
    answer     TEXT    NOT NULL                     -- its first 4 kB
) STRICT;

CREATE INDEX webhook_attempts_of_message ON webhook_attempts (message_id, seq);
