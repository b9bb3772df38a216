DROP TABLE policies_in_force;
DROP TABLE policy_sets;
