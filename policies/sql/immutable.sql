-- Policies and sets count their changes, as zones do: their entity tags are made of it.
CREATE TRIGGER policies_version BEFORE UPDATE ON policies
    FOR EACH ROW EXECUTE FUNCTION caracal_count_change();
CREATE TRIGGER policy_sets_version BEFORE UPDATE ON policy_sets
    FOR EACH ROW EXECUTE FUNCTION caracal_count_change();

-- What was decided by can be read back as it was: whatever the role's rights, versions
-- and their members are only ever added.
CREATE OR REPLACE TRIGGER policy_versions_no_change
    BEFORE UPDATE OR DELETE ON policy_versions
    FOR EACH ROW EXECUTE FUNCTION caracal_refuse_change();
CREATE OR REPLACE TRIGGER policy_versions_no_truncate
    BEFORE TRUNCATE ON policy_versions
    FOR EACH STATEMENT EXECUTE FUNCTION caracal_refuse_change();
CREATE OR REPLACE TRIGGER policy_set_versions_no_change
    BEFORE UPDATE OR DELETE ON policy_set_versions
    FOR EACH ROW EXECUTE FUNCTION caracal_refuse_change();
CREATE OR REPLACE TRIGGER policy_set_versions_no_truncate
    BEFORE TRUNCATE ON policy_set_versions
    FOR EACH STATEMENT EXECUTE FUNCTION caracal_refuse_change();
CREATE OR REPLACE TRIGGER policy_set_members_no_change
    BEFORE UPDATE OR DELETE ON policy_set_members
    FOR EACH ROW EXECUTE FUNCTION caracal_refuse_change();
CREATE OR REPLACE TRIGGER policy_set_members_no_truncate
    BEFORE TRUNCATE ON policy_set_members
    FOR EACH STATEMENT EXECUTE FUNCTION caracal_refuse_change();
