"""A thread of each deciding process: loads what comes in force, and reports it.

Decisions do not depend on it, because each reads what is in force (``active``). It has
a new set compiled before the first decision needs it, and tells who has loaded what.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
from collections.abc import Iterable

from django.conf import settings
from django.db import Error, connection
from psycopg_pool import PoolTimeout

from caracal_site import statements
from caracal_site.ids import new_id
from policies import active
from policies.services import Load, report

# Less than half of what an evaluator may be silent for.
REPORT_SECONDS = 10.0
LATEST = 256

log = logging.getLogger(__name__)


class Watcher:
    """What this process has loaded for each zone it knows, and has told about."""

    def __init__(self, evaluator_id: str = "") -> None:
        host = "".join(c for c in socket.gethostname() if c.isalnum() or c in "-.")
        self.id = evaluator_id or f"{host[:60]}:{os.getpid()}:{new_id()[-12:]}"
        self._loads: dict[str, Load] = {}
        self._untold: set[str] = set()
        self._told_at = float("-inf")

    def turn(self) -> None:
        """Loads what is new and reports it, or that nothing is when that is due."""
        rows = statements.fetch_all(
            "policies/in_force", {"zones": list(self._loads), "latest": LATEST}
        )
        for zone_id, revision, version_id in rows:
            known = self._loads.get(zone_id)
            if known is None or known.revision != revision or known.error:
                self._keep(_loaded(zone_id, revision, version_id))
        due = time.monotonic() - self._told_at > REPORT_SECONDS
        if self._untold or due:
            self._tell(sorted(self._untold))

    def _keep(self, load: Load) -> None:
        if self._loads.get(load.zone_id) != load:
            self._loads[load.zone_id] = load
            self._untold.add(load.zone_id)

    def _tell(self, zone_ids: Iterable[str]) -> None:
        report(self.id, [self._loads[zone_id] for zone_id in zone_ids])
        self._untold.clear()
        self._told_at = time.monotonic()

    def run(self) -> None:
        """Turns for ever; an outage is waited out."""
        while True:
            try:
                self.turn()
            except (Error, PoolTimeout) as error:
                log.warning("policies not looked up", extra={"error": str(error)})
                self._untold.update(self._loads)
                connection.close()
            time.sleep(settings.OPA_POLL_SECONDS)


def _loaded(zone_id: str, revision: int, version_id: str | None) -> Load:
    if version_id is None:
        return Load(zone_id=zone_id, revision=revision, version_id=None)
    try:
        found = active.set_of(version_id)
    except active.CannotLoad as error:
        return Load(
            zone_id=zone_id, revision=revision, version_id=None, error=str(error)
        )
    return Load(
        zone_id=zone_id,
        revision=revision,
        version_id=version_id,
        manifest_sha256=found.manifest_sha256,
    )


def start() -> None:
    """Starts the thread of this process."""
    threading.Thread(target=Watcher().run, name="policy-watcher", daemon=True).start()
