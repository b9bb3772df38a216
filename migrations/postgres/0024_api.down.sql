DROP INDEX subsets_by_corpus;
DROP TABLE keyed_requests;
