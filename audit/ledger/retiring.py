"""The end of decisions: what is past its retention is removed, and nothing else."""

from __future__ import annotations

import hmac
from datetime import datetime

from audit.models import AuditChain
from audit.seals import audit_key
from caracal_site.times import to_wire


def removal_mac(zone_id: str, before: datetime) -> bytes:
    """What says that the platform removed the zone's rows before a moment."""
    text = f"removed\x1f{zone_id}\x1f{to_wire(before)}".encode()
    return hmac.digest(audit_key() or b"none", text, "sha256")


def removed_before(end: AuditChain | None) -> datetime | None:
    """Up to when a zone's rows may be gone; None when none may."""
    if end is None or end.removed_before is None or end.removed_mac is None:
        return None
    told = removal_mac(end.zone_id, end.removed_before)
    is_told = hmac.compare_digest(bytes(end.removed_mac), told)
    return end.removed_before if is_told else None
