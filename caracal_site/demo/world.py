"""What the story is about, as far as it has come."""

from __future__ import annotations

from dataclasses import dataclass

TOKEN_EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"  # noqa: S105
READ, WRITE = "calendar:read", "calendar:write"


@dataclass(slots=True)
class World:
    zone: str = ""
    application: str = ""
    secret: str = ""
    resource: str = ""
    identifier: str = ""

    def token_form(self, **more: str) -> dict[str, str]:
        """A token request of the application for its resource."""
        return {
            "grant_type": TOKEN_EXCHANGE,
            "zone_id": self.zone,
            "application_id": self.application,
            "client_secret": self.secret,
            "resource": self.identifier,
            **more,
        }
