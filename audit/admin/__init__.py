"""Evidence in the console: read, never changed; parked news can be queued again."""

from audit.admin.decisions import AuditEventAdmin
from audit.admin.ledger import AuditChainAdmin, AuditQuarantineAdmin
from audit.admin.outbox import OutboxEventAdmin
from audit.admin.trail import AdminAuditEventAdmin

__all__ = [
    "AdminAuditEventAdmin",
    "AuditChainAdmin",
    "AuditEventAdmin",
    "AuditQuarantineAdmin",
    "OutboxEventAdmin",
]
