-- Requests under a key of their sender's, each carried out once, with what they were answered.

CREATE TABLE keyed_requests (
    user_id      TEXT COLLATE "C" NOT NULL,
    key          TEXT COLLATE "C" NOT NULL,
    digest       TEXT COLLATE "C" NOT NULL,  -- of account, address and body
    status       BIGINT,                     -- of the answer; none while the request is carried out
    content_type TEXT COLLATE "C",
    body         BYTEA,
    at           BIGINT           NOT NULL,
    PRIMARY KEY (user_id, key)
);

CREATE INDEX keyed_requests_by_age ON keyed_requests (at);

-- The registry is read in parts, by corpus and id.
CREATE INDEX subsets_by_corpus ON subsets (corpus, id);
