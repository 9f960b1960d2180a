"""The verbs of agent services: the only writers of them, but for heartbeats."""

from agents.registry.services.deregistration import (
    Deregistered,
    deregister_service,
    deregister_services_of,
    preview_deregistration,
    preview_services_of,
)
from agents.registry.services.pruning import prune_services
from agents.registry.services.registration import (
    Registered,
    ServiceRequest,
    age_services,
    register_service,
)

__all__ = [
    "Deregistered",
    "Registered",
    "ServiceRequest",
    "age_services",
    "deregister_service",
    "deregister_services_of",
    "preview_deregistration",
    "preview_services_of",
    "prune_services",
    "register_service",
]
