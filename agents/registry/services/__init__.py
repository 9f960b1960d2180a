"""The verbs of agent services: the only writers of them, but for heartbeats."""

from agents.registry.services.registration import (
    Deregistered,
    Registered,
    ServiceRequest,
    age_services,
    deregister_service,
    preview_deregistration,
    register_service,
)

__all__ = [
    "Deregistered",
    "Registered",
    "ServiceRequest",
    "age_services",
    "deregister_service",
    "preview_deregistration",
    "register_service",
]
