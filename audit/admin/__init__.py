"""Evidence in the console: read, never changed; parked news can be queued again."""

from audit.admin.ledger import AuditChainAdmin, AuditQuarantineAdmin
from audit.admin.outbox import OutboxEventAdmin
from audit.admin.trail import AdminAuditEventAdmin, AuditEventAdmin

__all__ = [
    "AdminAuditEventAdmin",
    "AuditChainAdmin",
    "AuditEventAdmin",
    "AuditQuarantineAdmin",
    "OutboxEventAdmin",
]
