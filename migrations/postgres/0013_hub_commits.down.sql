DROP TABLE hub_commits;
