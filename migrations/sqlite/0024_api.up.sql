-- Requests under a key of their sender's, each carried out once, with what they were answered.

CREATE TABLE keyed_requests (
    user_id      TEXT    NOT NULL,
    key          TEXT    NOT NULL,
    digest       TEXT    NOT NULL,          -- of account, address and body
    status       INTEGER,                   -- of the answer; none while the request is carried out
    content_type TEXT,
    body         BLOB,
    at           INTEGER NOT NULL,
    PRIMARY KEY (user_id, key)
) STRICT;

CREATE INDEX keyed_requests_by_age ON keyed_requests (at);

-- The registry is read in parts, by corpus and id.
CREATE INDEX subsets_by_corpus ON subsets (corpus, id);
