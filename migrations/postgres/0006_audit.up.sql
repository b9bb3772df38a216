-- The audit log. hash = SHA-256 over the 32 bytes of the hash before (zeros before the first) and the bytes of entry.

CREATE TABLE audit_log (
    seq   BIGINT           NOT NULL PRIMARY KEY,  -- 1, 2, 3 … without a gap
    entry TEXT COLLATE "C" NOT NULL,              -- canonical JSON
    hash  TEXT COLLATE "C" NOT NULL
);

CREATE FUNCTION audit_log_is_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' THEN
        RAISE EXCEPTION 'the audit log is append-only: no entry is changed';
    ELSIF TG_OP IN ('DELETE', 'TRUNCATE') THEN
        RAISE EXCEPTION 'the audit log is append-only: no entry is deleted';
    ELSIF NEW.seq <> (SELECT COALESCE(MAX(seq), 0) + 1 FROM audit_log) THEN
        RAISE EXCEPTION 'the audit log is append-only: an entry goes to its end';
    END IF;
    RETURN NEW;
END $$;

CREATE TRIGGER audit_log_is_never_changed BEFORE INSERT OR UPDATE OR DELETE ON audit_log
    FOR EACH ROW EXECUTE FUNCTION audit_log_is_append_only();
CREATE TRIGGER audit_log_is_never_shortened BEFORE TRUNCATE ON audit_log
    FOR EACH STATEMENT EXECUTE FUNCTION audit_log_is_append_only();
