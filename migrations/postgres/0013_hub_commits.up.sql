-- Where a commit of a release lies, or may lie because its answer was lost, and with which content.

CREATE TABLE hub_commits (
    release_id TEXT COLLATE "C" NOT NULL REFERENCES releases (id),
    digest     TEXT COLLATE "C" NOT NULL,  -- of the content, as it was approved
    place      TEXT COLLATE "C" NOT NULL,  -- Hub, repository and branch
    PRIMARY KEY (release_id, digest, place)
);
