"""``manage.py reseal``: after ``ZONE_KEK`` was replaced, seals everything under it."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from policies.grants.services import reseal_provider_grants
from tokens.services import reseal_signing_keys
from zones.services import reseal_providers


class Command(BaseCommand):
    help = (
        "Seals signing keys, the secrets of providers and the tokens of connected"
        " accounts under the present ZONE_KEK."
        " Keys they are sealed under now must be listed in ZONE_KEK_PREVIOUS."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        keys, providers = reseal_signing_keys(), reseal_providers()
        accounts = reseal_provider_grants()
        self.stdout.write(
            f"Resealed {keys.done} signing keys, the secrets of {providers.done}"
            f" providers and the tokens of {accounts.done} accounts."
        )
        broken = (*keys.broken, *providers.broken, *accounts.broken)
        if broken:
            raise CommandError(
                "Neither ZONE_KEK nor one of ZONE_KEK_PREVIOUS opens: "
                + ", ".join(broken)
            )
