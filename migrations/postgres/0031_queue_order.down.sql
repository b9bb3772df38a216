ALTER TABLE work_items RESET (autovacuum_vacuum_scale_factor, autovacuum_vacuum_threshold, autovacuum_vacuum_cost_delay);
DROP INDEX work_tries_open;
DROP INDEX work_items_open;
DROP INDEX work_items_held;
DROP INDEX work_items_waiting_of;
DROP INDEX work_items_waiting_for;
DROP INDEX work_items_waiting;
CREATE INDEX work_items_by_state ON work_items (state, priority, queued);
