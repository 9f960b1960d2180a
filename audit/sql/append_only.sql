-- Evidence is only ever added. Whatever the role's rights, the tables refuse deletion;
-- an audit row is updated once, when its four chain columns are filled.
CREATE OR REPLACE FUNCTION caracal_refuse_change() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only: % refused', TG_TABLE_NAME, TG_OP
        USING ERRCODE = 'insufficient_privilege';
END
$$;

CREATE OR REPLACE FUNCTION caracal_allow_sealing() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.chain_seq IS NULL AND NEW.chain_seq IS NOT NULL THEN
        OLD.chain_seq := NEW.chain_seq;
        OLD.content_sha256 := NEW.content_sha256;
        OLD.prev_content_sha256 := NEW.prev_content_sha256;
        OLD.chain_hmac := NEW.chain_hmac;
        IF OLD IS NOT DISTINCT FROM NEW THEN
            RETURN NEW;
        END IF;
    END IF;
    RAISE EXCEPTION '% is append-only: % refused', TG_TABLE_NAME, TG_OP
        USING ERRCODE = 'insufficient_privilege';
END
$$;

CREATE OR REPLACE TRIGGER admin_audit_events_sealing
    BEFORE UPDATE ON admin_audit_events
    FOR EACH ROW EXECUTE FUNCTION caracal_allow_sealing();
CREATE OR REPLACE TRIGGER admin_audit_events_no_delete
    BEFORE DELETE ON admin_audit_events
    FOR EACH ROW EXECUTE FUNCTION caracal_refuse_change();
CREATE OR REPLACE TRIGGER admin_audit_events_no_truncate
    BEFORE TRUNCATE ON admin_audit_events
    FOR EACH STATEMENT EXECUTE FUNCTION caracal_refuse_change();
CREATE OR REPLACE TRIGGER audit_events_no_change
    BEFORE UPDATE OR DELETE ON audit_events
    FOR EACH ROW EXECUTE FUNCTION caracal_refuse_change();
CREATE OR REPLACE TRIGGER audit_events_no_truncate
    BEFORE TRUNCATE ON audit_events
    FOR EACH STATEMENT EXECUTE FUNCTION caracal_refuse_change();
