-- Leaderboards are kept with the rows that others published (0027).

CREATE TRIGGER board_version_reported AFTER INSERT ON reported BEGIN UPDATE board_version SET n = n + 1; END;
