DROP TRIGGER board_version_reported;
