-- A row's version counts its updates, whoever makes them and however many in one
-- transaction: the entity tags of the Management API are made of it.
CREATE OR REPLACE FUNCTION caracal_count_change() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    NEW.version := OLD.version + 1;
    RETURN NEW;
END
$$;

CREATE TRIGGER zones_version BEFORE UPDATE ON zones
    FOR EACH ROW EXECUTE FUNCTION caracal_count_change();
CREATE TRIGGER applications_version BEFORE UPDATE ON applications
    FOR EACH ROW EXECUTE FUNCTION caracal_count_change();
CREATE TRIGGER providers_version BEFORE UPDATE ON providers
    FOR EACH ROW EXECUTE FUNCTION caracal_count_change();
CREATE TRIGGER resources_version BEFORE UPDATE ON resources
    FOR EACH ROW EXECUTE FUNCTION caracal_count_change();
