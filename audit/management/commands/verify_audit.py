"""``verify_audit``: is the evidence still what was written?"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import redis
from django.core.management.base import BaseCommand, CommandError, CommandParser

from audit import seals, verify
from audit.ledger import exporting, heads, verifying
from caracal_site import stores

NO_REDIS = "Redis cannot be reached ({}): ends of chains are not checked."


class Command(BaseCommand):
    help = (
        "Recomputes the hash chains of the admin audit trail and of the ledger of"
        " decisions, and reports rows that were altered, removed, inserted or moved."
        " Exits with 1 when a chain is broken."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--zone", metavar="ID", help="only the chains of this zone")
        parser.add_argument(
            "--export",
            metavar="FILE",
            help="write the ledger of the zone as a file that audit/ledger/offline.py"
            " verifies anywhere, and beside it the public key",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        zone_id = options["zone"]
        if options["export"] and not zone_id:
            raise CommandError("--export needs the --zone whose ledger it is to write.")
        self.broken = self.rows = self.chains = 0
        self.trails(zone_id)
        self.ledgers(zone_id)
        if options["export"]:
            self.export(zone_id, Path(options["export"]))
        if self.broken:
            raise CommandError(f"{self.broken} of {_chains(self.chains)} broken.")
        self.stdout.write(f"{_chains(self.chains)} intact, {self.rows} rows verified.")

    def trails(self, zone_id: str | None) -> None:
        known = self.asked(seals.published_heads)
        wanted = [zone_id] if zone_id else verify.chains(known)
        for chain in wanted:
            found = verify.verify(chain, known.get(chain))
            name = f"zone {found.zone_id}" if found.zone_id else "platform"
            self.report(name, found, [])

    def ledgers(self, zone_id: str | None) -> None:
        known = self.asked(lambda client: heads.every_published(client, zone_id))
        for zone in [zone_id] if zone_id else verifying.zones(known):
            found = verifying.verify(zone, known.get(zone, ()))
            removed = f"{found.removed} removed by retention"
            self.report(
                f"ledger of zone {zone}", found, [removed] if found.removed else []
            )

    def asked(self, ask: Any) -> Any:
        try:
            return ask(stores.redis_client())
        except redis.RedisError as error:
            self.stderr.write(NO_REDIS.format(error))
            return {}

    def report(
        self,
        name: str,
        found: verify.Verified | verifying.Verified,
        more: list[str],
    ) -> None:
        self.chains += 1
        self.rows += found.rows
        self.broken += bool(found.broken)
        state = f"BROKEN ({found.broken} faults)" if found.broken else "intact"
        facts = [
            f"{name}: {state}",
            f"{found.rows} sealed",
            f"{found.unsealed} waiting",
            *more,
        ]
        if not found.head_known and (found.rows or found.unsealed):
            facts.append("no published head to check the end against")
        self.stdout.write(", ".join(facts))
        for fault in found.faults:
            at = f"event {fault.event_id}" if fault.event_id else "the chain"
            self.stdout.write(f"  #{fault.seq} {at}: {fault.sentence}")
        if found.broken > len(found.faults):
            self.stdout.write(f"  and {found.broken - len(found.faults)} more")

    def export(self, zone_id: str, path: Path) -> None:
        if not heads.is_signing():
            raise CommandError("Without AUDIT_HMAC_KEY there is nothing to sign with.")
        try:
            with path.open("wb") as file:
                file.writelines(exporting.exported(zone_id))
            key = path.with_name(f"{path.name}.public-key.pem")
            key.write_text(exporting.public_key_pem(), encoding="ascii")
        except OSError as error:
            raise CommandError(f"The file could not be written: {error}.") from None
        self.stdout.write(f"written to {path}, which {key} verifies.")


def _chains(count: int) -> str:
    return f"{count} chain" if count == 1 else f"{count} chains"
