-- Who worked on an item, from which answer to which, and why a try ended before the item did.

CREATE TABLE work_tries (
    work_id TEXT COLLATE "C" NOT NULL REFERENCES work_items (id),
    fence   BIGINT           NOT NULL,  -- that of the lease
    worker  TEXT COLLATE "C" NOT NULL,
    first   BIGINT           NOT NULL,  -- answers that were there when it began
    last    BIGINT,                     -- and when it ended
    began   BIGINT           NOT NULL,
    ended   BIGINT,
    cause   TEXT COLLATE "C",           -- null: it finished the item, or has not ended
    PRIMARY KEY (work_id, fence)
);
