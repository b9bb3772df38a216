-- Who worked on an item, from which answer to which, and why a try ended before the item did.

CREATE TABLE work_tries (
    work_id TEXT    NOT NULL REFERENCES work_items (id),
    fence   INTEGER NOT NULL,               -- that of the lease
    worker  TEXT    NOT NULL,
    first   INTEGER NOT NULL,               -- answers that were there when it began
    last    INTEGER,                        -- and when it ended
    began   INTEGER NOT NULL,
    ended   INTEGER,
    cause   TEXT,                           -- null: it finished the item, or has not ended
    PRIMARY KEY (work_id, fence)
) STRICT, WITHOUT ROWID;
