-- Where a commit of a release lies, or may lie because its answer was lost, and with which content.

CREATE TABLE hub_commits (
    release_id TEXT NOT NULL REFERENCES releases (id),
    digest     TEXT NOT NULL,       -- of the content, as it was approved
    place      TEXT NOT NULL,       -- Hub, repository and branch
    PRIMARY KEY (release_id, digest, place)
) STRICT, WITHOUT ROWID;
