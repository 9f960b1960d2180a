"""``measure_ledger [ROWS]``: fills a zone of its own and measures what the ledger does.

For a database that may be filled. Rows are written by the database, as the token
endpoint would leave them; sealing, verifying, pages and files are the real ones.
"""

from __future__ import annotations

import resource
import statistics
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django.db import connection, transaction
from django.http import QueryDict

from audit.api.views import DECISIONS
from audit.ledger import heads, sealing, verifying
from audit.models import AuditEvent
from caracal_site import cursors, stores
from caracal_site.api.exports import FORMATS, all_lines
from caracal_site.api.pagination import question, read_page
from caracal_site.ids import new_id

ROWS = 1_000_000
LEDGER = """
INSERT INTO audit_events (
    id, zone_id, event_type, request_id, decision, evaluation_status,
    policy_set_version_id, determining_policies_json, diagnostics_json, metadata_json,
    occurred_at
)
SELECT
    %(prefix)s || lpad(to_hex(n), 12, '0'), %(zone)s,
    CASE WHEN n %% 100 = 0 THEN 'replay_detected' ELSE 'token_exchange' END,
    'req-' || n / 2, CASE WHEN n %% 10 = 0 THEN 'deny' ELSE 'allow' END, 'complete',
    'psv-' || n / 50000, '[{"policy": "baseline"}]', '[]',
    jsonb_build_object(
        'application_id', 'app-' || n %% 50, 'application_name', 'planner',
        'resource', 'resource://calendar', 'session_id', 'session-' || n / 20,
        'requested_scopes', '["calendar:read", "calendar:write"]'::jsonb,
        'agent_session_id', 'agent-' || n %% 5000, 'agent_lifecycle', 'task',
        'agent_labels', jsonb_build_array('l' || n %% 100, 'common')
    ),
    now() - (%(rows)s - n) * interval '20 milliseconds'
FROM generate_series(1, %(rows)s) AS n
"""
QUERIES = (
    "",
    "decision=deny",
    "event_type=replay_detected",
    "application_id=app-7",
    "agent_session_id=agent-77",
    "session_id=session-777",
    "label=l42",
    "request_id=req-4711",
    "since=2026-01-01T00:00:00Z&decision=deny",
)


def say(what: str, value: str) -> None:
    sys.stdout.write(f"{what:44} {value}\n")
    sys.stdout.flush()


@contextmanager
def timed(what: str, rows: int) -> Iterator[None]:
    started, busy = time.monotonic(), time.process_time()
    yield
    seconds, own = time.monotonic() - started, time.process_time() - busy
    say(what, f"{seconds:7.2f} s {rows / seconds:12,.0f} rows/s ({own:.2f} s own)")


def peak_megabytes() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def fill(zone_id: str, rows: int) -> None:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL statement_timeout = 0")
        asked: dict[str, str | int] = {"zone": zone_id, "rows": rows}
        asked["prefix"] = new_id()[:24]
        cursor.execute(LEDGER, asked)
    with connection.cursor() as cursor:
        cursor.execute("SET statement_timeout = 0")
        cursor.execute("VACUUM (ANALYZE) audit_events")


def pages(zone_id: str) -> None:
    for query in QUERIES:
        first = f"{query}&limit=200".lstrip("&")
        say(f"page {query or 'without a filter'}", rate(zone_id, first))
    deep = list(AuditEvent.objects.filter(zone_id=zone_id).order_by("-occurred_at"))[
        -500:-499
    ]
    say("page 5,000 deep", rate(zone_id, deep_query(zone_id, deep[0])))


def deep_query(zone_id: str, row: AuditEvent) -> str:
    asked = question(DECISIONS, path=zone_id, query=QueryDict("limit=200"))
    last = cursors.Position(row.id, at=row.occurred_at)
    return f"limit=200&cursor={cursors.encode(last, asked.bound_to)}"


def rate(zone_id: str, query: str) -> str:
    rows = AuditEvent.objects.filter(zone_id=zone_id)

    def page() -> int:
        asked = question(DECISIONS, path=zone_id, query=QueryDict(query))
        return len(read_page(asked, rows).rows)

    page()
    spent = []
    for _ in range(20):
        started = time.monotonic()
        found = page()
        spent.append(time.monotonic() - started)
    return f"{statistics.median(spent) * 1000:7.2f} ms, {found} rows"


def files(zone_id: str, total: int) -> None:
    rows = AuditEvent.objects.filter(zone_id=zone_id)
    for form, kind in FORMATS.items():
        asked = question(DECISIONS, path=zone_id, query=QueryDict(""))
        shown = asked.in_a_table if kind.is_table else asked
        before = peak_megabytes()
        with timed(f"export {form}", total):
            size = sum(len(part) for part in all_lines(kind, shown, rows))
        grown = peak_megabytes() - before
        say(f"export {form}", f"{size:,} bytes, memory grew by {grown:.1f} MB")


class Command(BaseCommand):
    help = "Measures sealing, verifying, pages and files on a made ledger."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("rows", nargs="?", type=int, default=ROWS)

    def handle(self, *args: Any, **options: Any) -> None:
        total, zone_id = options["rows"], new_id()
        with timed("write", total):
            fill(zone_id, total)
        client = stores.redis_client()
        with timed("seal", total):
            while sealing.seal(client).handled:
                pass
        with timed("verify", total):
            found = verifying.verify(zone_id, heads.every_published(client)[zone_id])
        say("verified", f"{found.rows:,} rows, {found.broken} faults")
        pages(zone_id)
        files(zone_id, total)
