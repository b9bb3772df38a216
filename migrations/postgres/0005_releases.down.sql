DROP TABLE publish_steps;
DROP TABLE comments;
DROP TABLE approvals;
DROP TABLE releases;
