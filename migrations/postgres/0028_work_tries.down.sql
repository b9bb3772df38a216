DROP TABLE work_tries;
