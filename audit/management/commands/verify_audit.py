"""``verify_audit``: is the admin audit trail still what was written?"""

from __future__ import annotations

from typing import Any

import redis
from django.core.management.base import BaseCommand, CommandError, CommandParser

from audit import seals, verify
from caracal_site import stores


class Command(BaseCommand):
    help = (
        "Recomputes the hash chains of the admin audit trail and reports rows that were"
        " altered, removed, inserted or moved. Exits with 1 when a chain is broken."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--zone", metavar="ID", help="only the chain of this zone")

    def handle(self, *args: Any, **options: Any) -> None:
        heads = self.published_heads()
        zone_id = options["zone"]
        wanted = [zone_id] if zone_id else verify.chains(heads)
        broken = rows = 0
        for chain in wanted:
            found = verify.verify(chain, heads.get(chain))
            self.report(found)
            rows += found.rows
            broken += bool(found.broken)
        if broken:
            raise CommandError(f"{broken} of {_chains(len(wanted))} broken.")
        self.stdout.write(f"{_chains(len(wanted))} intact, {rows} rows verified.")

    def published_heads(self) -> dict[str | None, seals.Head]:
        try:
            return seals.published_heads(stores.redis_client())
        except redis.RedisError as error:
            self.stderr.write(
                f"Redis cannot be reached ({error}): ends of chains are not checked."
            )
            return {}

    def report(self, found: verify.Verified) -> None:
        name = f"zone {found.zone_id}" if found.zone_id else "platform"
        state = f"BROKEN ({found.broken} faults)" if found.broken else "intact"
        facts = [
            f"{name}: {state}",
            f"{found.rows} sealed",
            f"{found.unsealed} waiting",
        ]
        if not found.head_known:
            facts.append("no published head to check the end against")
        self.stdout.write(", ".join(facts))
        for fault in found.faults:
            at = f"event {fault.event_id}" if fault.event_id else "the chain"
            self.stdout.write(f"  #{fault.seq} {at}: {fault.sentence}")
        if found.broken > len(found.faults):
            self.stdout.write(f"  and {found.broken - len(found.faults)} more")


def _chains(count: int) -> str:
    return f"{count} chain" if count == 1 else f"{count} chains"
