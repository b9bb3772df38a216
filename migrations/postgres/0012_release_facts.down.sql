DROP INDEX releases_by_state;
ALTER TABLE publish_steps DROP COLUMN detail_ja;
ALTER TABLE releases DROP COLUMN given;
ALTER TABLE releases DROP COLUMN parents;
ALTER TABLE releases DROP COLUMN path;
