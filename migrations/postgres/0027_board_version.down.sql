DROP TRIGGER board_version_scores ON scores;
DROP TRIGGER board_version_work ON work_items;
DROP TRIGGER board_version_work_state ON work_items;
DROP TRIGGER board_version_checkpoints ON checkpoints;
DROP TRIGGER board_version_releases ON releases;
DROP TRIGGER board_version_runs ON runs;
DROP FUNCTION count_board_version();
DROP TABLE board_version;
