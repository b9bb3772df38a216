-- Claims look into the order of what waits, and at what is held and until when: neither grows with what is finished.

DROP INDEX work_items_by_state;
CREATE INDEX work_items_waiting ON work_items (pool, priority DESC, queued, evaluation_id, position) WHERE state = 'waiting';
CREATE INDEX work_items_waiting_for ON work_items (digest, priority, queued, evaluation_id, position) WHERE state = 'waiting';
CREATE INDEX work_items_waiting_of ON work_items (checkpoint_id, priority DESC, queued, evaluation_id, position) WHERE state = 'waiting';
CREATE INDEX work_items_held ON work_items (lease_until) WHERE state = 'running';
CREATE INDEX work_items_open ON work_items (state, priority, queued) WHERE state <> 'finished';
CREATE INDEX work_tries_open ON work_tries (work_id) WHERE ended IS NULL;
