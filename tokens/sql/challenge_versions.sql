-- The entity tags of the Management API are made of a row's version.
CREATE TRIGGER step_up_challenges_version BEFORE UPDATE ON step_up_challenges
    FOR EACH ROW EXECUTE FUNCTION caracal_count_change();
