ALTER TABLE releases DROP COLUMN channel;
DROP TABLE channel_releases;
DROP TABLE channel_approvals;
DROP TABLE channels;
