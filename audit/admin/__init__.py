"""Evidence in the console: read, never changed. What is set aside can be queued or
taken in again, and how long evidence is kept can be set."""

from audit.admin.decisions import AuditEventAdmin
from audit.admin.ledger import AuditChainAdmin
from audit.admin.outbox import OutboxEventAdmin
from audit.admin.quarantine import AuditQuarantineAdmin
from audit.admin.retention import AuditRetentionAdmin
from audit.admin.trail import AdminAuditEventAdmin

__all__ = [
    "AdminAuditEventAdmin",
    "AuditChainAdmin",
    "AuditEventAdmin",
    "AuditQuarantineAdmin",
    "AuditRetentionAdmin",
    "OutboxEventAdmin",
]
