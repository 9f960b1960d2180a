-- Takes the room, inserts the agent, and leaves the evidence: all or nothing.
WITH
fit AS (SELECT),
-- include: agents/spawned
