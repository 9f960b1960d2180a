"""The Celery application: background jobs and their timetable."""

from __future__ import annotations

import os
from typing import Any

from celery import Celery
from celery.signals import setup_logging
from django.conf import settings

from caracal_site import logs

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "caracal_site.settings")

app = Celery("caracal")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


def _log_as_everywhere(**_: Any) -> None:
    """Keeps Celery from its own format, which drops what a line is about."""
    logs.configure()


setup_logging.connect(_log_as_everywhere)


def _seconds(milliseconds: int) -> float:
    return milliseconds / 1000


app.conf.beat_schedule = {
    "publish-outbox": {
        "task": "audit.tasks.publish_outbox",
        "schedule": _seconds(settings.OUTBOX_SWEEP_INTERVAL_MS),
    },
    "trim-streams": {"task": "audit.tasks.trim_streams", "schedule": 10.0},
    "seal-audit": {
        "task": "audit.tasks.seal_audit",
        "schedule": _seconds(settings.AUDIT_SEAL_INTERVAL_MS),
    },
    "seal-ledger": {
        "task": "audit.tasks.seal_ledger",
        "schedule": _seconds(settings.AUDIT_SEAL_INTERVAL_MS),
    },
    "ingest-decisions": {
        "task": "audit.tasks.ingest_decisions",
        "schedule": _seconds(settings.AUDIT_SEAL_INTERVAL_MS),
    },
    "make-ledger-partitions": {
        "task": "audit.tasks.make_ledger_partitions",
        "schedule": 3_600.0,
    },
    "retire-decisions": {"task": "audit.tasks.retire_decisions", "schedule": 3_600.0},
    "verify-ledgers": {"task": "audit.tasks.verify_ledgers", "schedule": 3_600.0},
    "prune-outbox": {"task": "audit.tasks.prune_outbox", "schedule": 900.0},
    "worker-heartbeat": {
        "task": "caracal_site.tasks.worker_heartbeat",
        "schedule": _seconds(settings.WORKER_HEARTBEAT_INTERVAL_MS),
    },
    "prune-receipts": {"task": "caracal_site.tasks.prune_receipts", "schedule": 600.0},
    "expire-agents": {
        "task": "agents.tasks.expire_agents",
        "schedule": _seconds(settings.TTL_SWEEP_INTERVAL_MS),
    },
    "end-stranded-agents": {
        "task": "agents.tasks.end_stranded_agents",
        "schedule": _seconds(settings.STRANDED_SWEEP_INTERVAL_MS),
    },
    "suspend-agent-services": {
        "task": "agents.tasks.suspend_agent_services",
        "schedule": _seconds(settings.SERVICE_LEASE_SWEEP_INTERVAL_MS),
    },
    "end-unseen-services": {
        "task": "agents.tasks.end_unseen_services",
        "schedule": _seconds(settings.SERVICE_LEASE_SWEEP_INTERVAL_MS),
    },
    "age-services": {
        "task": "agents.tasks.age_services",
        "schedule": _seconds(settings.SERVICE_LEASE_SWEEP_INTERVAL_MS),
    },
    "time-out-invocations": {
        "task": "agents.tasks.time_out_invocations",
        "schedule": _seconds(settings.DEADLINE_SWEEP_INTERVAL_MS),
    },
    "expire-edges": {
        "task": "delegations.tasks.expire_edges",
        "schedule": _seconds(settings.TTL_SWEEP_INTERVAL_MS),
    },
    "prune-edges": {"task": "delegations.tasks.prune_edges", "schedule": 900.0},
    "prune-invocations": {"task": "agents.tasks.prune_invocations", "schedule": 900.0},
    "prune-agents": {"task": "agents.tasks.prune_agents", "schedule": 900.0},
    "prune-agent-services": {
        "task": "agents.tasks.prune_agent_services",
        "schedule": 900.0,
    },
    "expire-sessions": {"task": "tokens.tasks.expire_sessions", "schedule": 60.0},
    "expire-step-up-challenges": {
        "task": "tokens.tasks.expire_step_up_challenges",
        "schedule": 60.0,
    },
    "retire-sessions": {"task": "tokens.tasks.retire_sessions", "schedule": 3_600.0},
    "promote-signing-keys": {
        "task": "tokens.tasks.promote_signing_keys",
        "schedule": 60.0,
    },
    "rotate-signing-keys": {
        "task": "tokens.tasks.rotate_signing_keys",
        "schedule": 600.0,
    },
    "keep-configured-tokens": {
        "task": "zones.tasks.keep_configured_tokens",
        "schedule": max(1.0, settings.BOOTSTRAP_TOKEN_OVERLAP_SECONDS / 4),
    },
    "chase-evaluators": {
        "task": "policies.tasks.chase_evaluators",
        "schedule": 10.0,
    },
    "expire-grants": {"task": "policies.tasks.expire_grants", "schedule": 60.0},
    "archive-expired-applications": {
        "task": "zones.tasks.archive_expired_applications",
        "schedule": 60.0,
    },
}
if settings.RELAY_INTERVAL_MS > 0:
    app.conf.beat_schedule["relay-lifecycle"] = {
        "task": "agents.tasks.relay_lifecycle",
        "schedule": _seconds(settings.RELAY_INTERVAL_MS),
    }
for entry in app.conf.beat_schedule.values():
    # A tick that nobody took in time is worthless: the next one does its work.
    entry["options"] = {"expires": max(5.0, float(entry["schedule"]))}
