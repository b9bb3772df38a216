-- Grows with everything that a leaderboard shows, so that what was read for one request can serve the next. Triggers, because no
-- write that forgets to say so could then be told from one that changes nothing. Reports of progress and metrics do not touch it.

CREATE TABLE board_version (
    id INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
    n  INTEGER NOT NULL
) STRICT;

INSERT INTO board_version (id, n) VALUES (1, 0);

CREATE TRIGGER board_version_scores AFTER INSERT ON scores BEGIN UPDATE board_version SET n = n + 1; END;
CREATE TRIGGER board_version_scores_gone AFTER DELETE ON scores BEGIN UPDATE board_version SET n = n + 1; END;
CREATE TRIGGER board_version_work AFTER INSERT ON work_items BEGIN UPDATE board_version SET n = n + 1; END;
CREATE TRIGGER board_version_work_state AFTER UPDATE OF state ON work_items WHEN OLD.state <> NEW.state
    BEGIN UPDATE board_version SET n = n + 1; END;
CREATE TRIGGER board_version_checkpoints AFTER UPDATE OF state, verification ON checkpoints
    BEGIN UPDATE board_version SET n = n + 1; END;
CREATE TRIGGER board_version_releases AFTER UPDATE OF state, lineage ON releases BEGIN UPDATE board_version SET n = n + 1; END;
CREATE TRIGGER board_version_runs AFTER UPDATE OF name, spec ON runs BEGIN UPDATE board_version SET n = n + 1; END;
