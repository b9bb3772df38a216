DROP INDEX evaluations_by_suite;
DROP TABLE reported;
