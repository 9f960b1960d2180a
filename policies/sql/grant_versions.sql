-- Entity tags of grants are made of these versions, as those of everything in a zone.
CREATE TRIGGER delegated_grants_version BEFORE UPDATE ON delegated_grants
    FOR EACH ROW EXECUTE FUNCTION caracal_count_change();
CREATE TRIGGER provider_grants_version BEFORE UPDATE ON provider_grants
    FOR EACH ROW EXECUTE FUNCTION caracal_count_change();
