"""A zone at a glance: what stands in it, and what was decided lately."""

from __future__ import annotations

from typing import Any

import orjson

from caracal_site import statements
from caracal_site.logs import redact


def overview_of(zone_id: str) -> dict[str, Any]:
    """The overview of a zone; secrets in the metadata of events are redacted."""
    found, generated_at = statements.fetch_one("zones/overview", {"zone_id": zone_id})
    overview = orjson.loads(found)
    for event in overview["recent_events"]:
        event["metadata_json"] = redact(event["metadata_json"])
    return {**overview, "generated_at": generated_at}
