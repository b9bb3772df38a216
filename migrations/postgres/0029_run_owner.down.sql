DROP TRIGGER board_version_reported ON reported;
ALTER TABLE runs DROP COLUMN issue;
ALTER TABLE runs DROP COLUMN owner;
