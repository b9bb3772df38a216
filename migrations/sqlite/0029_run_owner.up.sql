-- Who registered a run, and where it is talked about. Runs of before have neither.

ALTER TABLE runs ADD COLUMN owner TEXT;
ALTER TABLE runs ADD COLUMN issue TEXT;

-- Leaderboards are kept with the rows that others published (0027).

CREATE TRIGGER board_version_reported AFTER INSERT ON reported BEGIN UPDATE board_version SET n = n + 1; END;
