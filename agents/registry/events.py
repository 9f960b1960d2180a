"""What happens to agent services."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from audit.events import Event


@dataclass(frozen=True, kw_only=True)
class ServiceRegistered(Event):
    """An application offers an endpoint."""

    name: ClassVar[str] = "agent_service.registered"
    entity_type: ClassVar[str] = "agent-services"
    sentence: ClassVar[str] = "An agent service was registered."

    application_id: str
    endpoint_url: str

    def summary(self) -> dict[str, Any]:
        return {
            "application_id": self.application_id,
            "endpoint_url": self.endpoint_url,
        }


@dataclass(frozen=True, kw_only=True)
class ServiceUpdated(ServiceRegistered):
    """An endpoint was registered again, saying anew what it is."""

    name: ClassVar[str] = "agent_service.updated"
    sentence: ClassVar[str] = "An agent service was registered again."


@dataclass(frozen=True, kw_only=True)
class ServicesDeregistered(Event):
    """Endpoints are offered no more; their open calls are canceled and announce it.
    ``entity_id`` is the first of them."""

    name: ClassVar[str] = "agent_service.deregistered"
    entity_type: ClassVar[str] = "agent-services"
    sentence: ClassVar[str] = "An agent service was deregistered."

    services: int

    def summary(self) -> dict[str, Any]:
        return {"services": self.services}
