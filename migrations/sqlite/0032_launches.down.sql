DROP TABLE launchers;
DROP INDEX launches_open;
DROP TABLE launches;
