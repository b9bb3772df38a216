DROP TABLE run_events;
DROP TABLE metric_batches;
DROP TABLE metrics;
DROP TABLE runs;
