DROP TABLE scores;
DROP TABLE record_chunks;
DROP TABLE work_items;
DROP TABLE evaluations;
