DROP TABLE contamination_reports;
