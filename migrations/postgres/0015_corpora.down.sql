DROP TABLE subset_changes;
DROP TABLE subsets;
