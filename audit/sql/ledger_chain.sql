-- What seals the ledger. Every inserted row is queued in audit_unsealed by the same
-- statement; the sealing job takes it from there and gives it a link. Links are only
-- ever added, and stay when the row they are about has gone with its retention.
CREATE TABLE audit_unsealed (
    position bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    zone_id varchar(128) COLLATE "C" NOT NULL,
    event_id varchar(128) COLLATE "C" NOT NULL
) WITH (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 5000);

CREATE TABLE audit_links (
    zone_id varchar(128) COLLATE "C" NOT NULL,
    seq bigint NOT NULL,
    event_id varchar(128) COLLATE "C" NOT NULL,
    occurred_at timestamptz NOT NULL,
    content bytea NOT NULL,
    mac bytea,
    CONSTRAINT audit_links_pkey PRIMARY KEY (zone_id, seq)
);
CREATE UNIQUE INDEX audit_links_event ON audit_links (event_id);

-- Roots of whole subtrees of 256, 65,536, ... leaves of a zone's Merkle tree.
CREATE TABLE audit_tree_nodes (
    zone_id varchar(128) COLLATE "C" NOT NULL,
    level smallint NOT NULL,
    place bigint NOT NULL,
    hash bytea NOT NULL,
    CONSTRAINT audit_tree_nodes_pkey PRIMARY KEY (zone_id, level, place)
);

CREATE OR REPLACE FUNCTION caracal_queue_unsealed() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO audit_unsealed (zone_id, event_id)
    SELECT zone_id, id FROM added ORDER BY occurred_at, id;
    RETURN NULL;
END
$$;

CREATE TRIGGER audit_events_unsealed
    AFTER INSERT ON audit_events
    REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION caracal_queue_unsealed();

INSERT INTO audit_unsealed (zone_id, event_id)
SELECT zone_id, id FROM audit_events ORDER BY occurred_at, id;

CREATE TRIGGER audit_links_no_change
    BEFORE UPDATE OR DELETE ON audit_links
    FOR EACH ROW EXECUTE FUNCTION caracal_refuse_change();
CREATE TRIGGER audit_links_no_truncate
    BEFORE TRUNCATE ON audit_links
    FOR EACH STATEMENT EXECUTE FUNCTION caracal_refuse_change();
CREATE TRIGGER audit_tree_nodes_no_change
    BEFORE UPDATE OR DELETE ON audit_tree_nodes
    FOR EACH ROW EXECUTE FUNCTION caracal_refuse_change();
CREATE TRIGGER audit_tree_nodes_no_truncate
    BEFORE TRUNCATE ON audit_tree_nodes
    FOR EACH STATEMENT EXECUTE FUNCTION caracal_refuse_change();
