WITH
-- include: tokens/caller
SELECT zone_live, identity_live, agent_live FROM caller
