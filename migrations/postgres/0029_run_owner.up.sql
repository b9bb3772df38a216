-- Who registered a run, and where it is talked about. Runs of before have neither.

ALTER TABLE runs ADD COLUMN owner TEXT COLLATE "C";
ALTER TABLE runs ADD COLUMN issue TEXT COLLATE "C";

-- Leaderboards are kept with the rows that others published (0027).

CREATE TRIGGER board_version_reported AFTER INSERT OR UPDATE ON reported
    FOR EACH STATEMENT EXECUTE FUNCTION count_board_version();
