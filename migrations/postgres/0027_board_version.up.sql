-- Grows with everything that a leaderboard shows, so that what was read for one request can serve the next. Triggers, because no
-- write that forgets to say so could then be told from one that changes nothing. Reports of progress and metrics do not touch it.
--
-- The version is the sum over the rows. Each change adds one, so changes do not wait for each other; a reader sees exactly those that
-- are committed, which neither the highest number nor a sequence would tell.

CREATE TABLE board_version (
    n BIGINT NOT NULL
);

INSERT INTO board_version (n) VALUES (0);

CREATE FUNCTION count_board_version() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO board_version (n) VALUES (1);
    RETURN NULL;
END $$;

CREATE TRIGGER board_version_scores AFTER INSERT OR DELETE ON scores
    FOR EACH STATEMENT EXECUTE FUNCTION count_board_version();
CREATE TRIGGER board_version_work AFTER INSERT ON work_items
    FOR EACH STATEMENT EXECUTE FUNCTION count_board_version();
CREATE TRIGGER board_version_work_state AFTER UPDATE OF state ON work_items
    FOR EACH ROW WHEN (OLD.state <> NEW.state) EXECUTE FUNCTION count_board_version();
CREATE TRIGGER board_version_checkpoints AFTER UPDATE OF state, verification ON checkpoints
    FOR EACH STATEMENT EXECUTE FUNCTION count_board_version();
CREATE TRIGGER board_version_releases AFTER UPDATE OF state, lineage ON releases
    FOR EACH STATEMENT EXECUTE FUNCTION count_board_version();
CREATE TRIGGER board_version_runs AFTER UPDATE OF name, spec ON runs
    FOR EACH STATEMENT EXECUTE FUNCTION count_board_version();
