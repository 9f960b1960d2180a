"""How a service looks on the wire."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

Health = Literal["starting", "healthy", "degraded", "unhealthy"]


class Service(msgspec.Struct):
    """A registered endpoint. ``health`` is what it last said, and ``unhealthy`` once
    nothing was heard from it for the time of a lease."""

    id: str
    zone_id: str
    application_id: str
    endpoint_url: str
    protocol_versions: list[str]
    framework_name: str | None
    framework_version: str | None
    capabilities: list[str]
    health: Health
    metadata_json: dict[str, Any]
    last_heartbeat_at: str | None


class ServicePage(msgspec.Struct):
    items: list[Service]
    next_cursor: str | None
