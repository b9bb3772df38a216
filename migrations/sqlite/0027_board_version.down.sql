DROP TRIGGER board_version_scores;
DROP TRIGGER board_version_scores_gone;
DROP TRIGGER board_version_work;
DROP TRIGGER board_version_work_state;
DROP TRIGGER board_version_checkpoints;
DROP TRIGGER board_version_releases;
DROP TRIGGER board_version_runs;
DROP TABLE board_version;
