"""The verbs of invocations: the only writers of them, but for the end of a session."""

from agents.invocations.services.closing import (
    close_of_services,
    foresee_of_services,
    time_out_invocations,
)
from agents.invocations.services.creating import (
    CallRequest,
    Created,
    create_invocation,
)
from agents.invocations.services.moving import (
    cancel_invocation,
    complete_invocation,
    start_invocation,
)
from agents.invocations.services.pruning import prune_invocations

__all__ = [
    "CallRequest",
    "Created",
    "cancel_invocation",
    "close_of_services",
    "complete_invocation",
    "create_invocation",
    "foresee_of_services",
    "prune_invocations",
    "start_invocation",
    "time_out_invocations",
]
