"""What the shared load generator needs besides HTTP: fresh zones, rows in bulk, calm.

``load.py`` finds ``Target`` by its name; its folder is on ``PYTHONPATH``. Nothing
here is on the measured path: rows are written past the API only where the real way
would take hours, and always as the services would leave them.
"""

from __future__ import annotations

import os
import sys
import time
import uuid
from typing import Any

from caracal_site.testing.attaching import attach

attach()

import load  # type: ignore[import-not-found]  # noqa: E402
import psycopg  # noqa: E402
from django.conf import settings  # noqa: E402
from django.db import connection, transaction  # noqa: E402

from agents.services import capacity  # noqa: E402
from audit.models import AdminAuditEvent, AuditEvent, OutboxEvent  # noqa: E402
from caracal_site.ids import new_id  # noqa: E402
from caracal_site.testing import bench_tokens  # noqa: E402, F401 - adds scenarios
from caracal_site.testing.conformance import (  # noqa: E402
    DAY_SECONDS,
    add_session,
    session_claims,
    sign_as_zone,
)

BUSY_TABLES = (
    "agent_sessions",
    "agent_capacity",
    "agent_invocations",
    "delegation_edges",
    "event_outbox",
    "admin_audit_events",
    "audit_events",
)
PATIENCE_SECONDS = 600
ROWS_A_ZONE = 10_000

# Ids are UUIDv7 in one millisecond: a common beginning, then the row's number.
AGENTS = """
INSERT INTO agent_sessions (
    id, zone_id, application_id, subject_session_id, labels, ttl_seconds, expires_at
)
SELECT
    %(prefix)s || lpad(to_hex(n), 12, '0'), %(zone)s, %(application)s, %(session)s,
    CASE WHEN %(labels)s::int > 0 THEN ARRAY['l' || n %% %(labels)s::int]
        ELSE '{}' END,
    86400, now() + interval '1 day'
FROM generate_series(1, %(rows)s) AS n
"""
TAKEN = """
UPDATE agent_capacity SET live = live + t.taken
FROM unnest(%s::int[]) WITH ORDINALITY AS t (taken, place)
WHERE scope_id = %s AND slot = t.place - 1
"""
# Whole milliseconds, because that is all a CSV export says about a row's time.
LEDGER = """
INSERT INTO audit_events (
    id, zone_id, event_type, request_id, decision, evaluation_status,
    determining_policies_json, diagnostics_json, metadata_json, occurred_at
)
SELECT
    %(prefix)s || lpad(to_hex(n), 12, '0'), %(zone)s, 'token_exchange', 'req-' || n,
    CASE WHEN n %% 10 = 0 THEN 'deny' ELSE 'allow' END, 'complete', '[]', '[]',
    jsonb_build_object(
        'application_id', %(application)s::text, 'application_name', 'bench',
        'resource', 'resource://bench', 'session_id', %(session)s::text,
        'requested_scopes', '["bench:read"]'::jsonb
    ),
    date_trunc('milliseconds', now()) - (%(rows)s - n) * interval '1 millisecond'
FROM generate_series(1, %(rows)s) AS n
"""
ADMIN_AUDIT = """
INSERT INTO admin_audit_events (
    id, request_id, actor_id, actor_name, actor_scope, action, method, path, zone_id,
    entity_type, entity_id, status_code, payload_json
)
SELECT
    %(prefix)s || lpad(to_hex(n), 12, '0'), 'req-' || n, 'bench', 'bench', 'global',
    'POST /zones/bench/agents', 'POST', '/zones/bench/agents',
    %(zone)s || '-' || n / %(rows_a_zone)s::int, 'agents', 'agent-' || n, 201,
    '{"event": "agent.spawned"}'
FROM generate_series(1, %(rows)s) AS n
"""


class Target(load.Target):  # type: ignore[misc]
    """Fresh zones over the API; sessions, tokens and rows in bulk by the database."""

    bulk_data = True
    # How many live agents a new zone has from the beginning.
    crowd = 0

    def new_zone(self) -> load.Zone:
        made = {"name": f"bench {uuid.uuid4().hex[:8]}"}
        zone = load.must(self.api("POST", "/v1/zones", made), 201)["id"]
        made["registration_method"] = "managed"
        path = f"/v1/zones/{zone}/applications"
        registered = load.must(self.api("POST", path, made), 201)
        application = registered["id"]
        session = add_session(zone, application)
        scopes = [settings.AGENT_COORDINATOR_SCOPE]
        claims = session_claims(zone, application, session, scopes)
        claims["exp"] = claims["iat"] + DAY_SECONDS
        fresh = load.Zone(zone, application, session, sign_as_zone(zone, claims))
        fresh.secret = registered["client_secret"]
        if self.crowd:
            self.make_labelled_agents(fresh, self.crowd, 0)
        return fresh

    def reset(self) -> None:
        self.quiesce()

    def quiesce(self) -> None:
        """Waits until nothing is left to publish or to seal, then tidies the tables."""
        until = time.monotonic() + PATIENCE_SECONDS
        while _is_busy():
            if time.monotonic() > until:
                sys.exit("the worker does not come to rest: is it running?")
            time.sleep(0.5)
        _tidy()

    def make_audit(self, z: load.Zone, n: int) -> None:
        _insert(LEDGER, z, n)
        _tidy()

    def audit_middle(self, z: load.Zone) -> tuple[str, str]:
        """The time and id of the row in the middle of the zone's ledger."""
        rows = AuditEvent.objects.filter(zone_id=z.zone)
        middle = rows.order_by("-occurred_at", "-id")[rows.count() // 2]
        at = middle.occurred_at.isoformat(timespec="milliseconds")
        return at.replace("+00:00", "Z"), middle.id

    def make_labelled_agents(self, z: load.Zone, n: int, labels: int) -> None:
        """``n`` live agents in a fresh zone, each with one of ``labels`` labels, and
        the room they take as their spawns would have taken it."""
        share, rest = divmod(n, capacity.SLOTS)
        taken = [share + (slot < rest) for slot in range(capacity.SLOTS)]
        with transaction.atomic():
            for scope in (z.zone, z.application):
                capacity.make_room(scope, cap=2 * n + capacity.SLOTS, slot=0)
                with connection.cursor() as cursor:
                    cursor.execute(TAKEN, [taken, scope])
            _insert(AGENTS, z, n, labels=labels)
        _tidy()

    def add_admin_audit(self, n: int) -> None:
        """``n`` rows of the admin audit trail in zones of their own; sealed when
        ``quiesce`` returns."""
        elsewhere = load.Zone(f"bench-{uuid.uuid4().hex[:8]}", "", "", "")
        _insert(ADMIN_AUDIT, elsewhere, n, rows_a_zone=ROWS_A_ZONE)


def _insert(statement: str, z: load.Zone, rows: int, **more: Any) -> None:
    parameters = {
        "prefix": new_id()[:24],
        "zone": z.zone,
        "application": z.application,
        "session": z.session,
        "rows": rows,
        **more,
    }
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL statement_timeout = 0")
        cursor.execute(statement, parameters)


def _is_busy() -> bool:
    pending = OutboxEvent.objects.pending().exists()
    return pending or AdminAuditEvent.objects.unsealed().exists()


def _tidy() -> None:
    """What autovacuum would do in the next minute, so that no run is it."""
    owner = os.environ.get("DATABASE_OWNER_URL") or settings.DATABASE_URL
    with psycopg.connect(owner, autocommit=True) as database:
        for table in BUSY_TABLES:
            database.execute(f"VACUUM (ANALYZE) {table}")
