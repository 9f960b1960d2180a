"""What happens to invocations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from agents.invocations import machine
from audit.events import Event, News

LIFECYCLE = "caracal.invocations.lifecycle"


@dataclass(frozen=True, kw_only=True)
class InvocationEvent(Event):
    """Something about one call. ``transition`` is the row's counter after it, which
    makes the key unique; ``service_id`` and it are None where the statement that
    writes the move puts them in."""

    entity_type: ClassVar[str] = "invocations"

    service_id: str | None = None
    transition: int | None = None

    def news(self) -> list[News]:
        payload = {
            "event": self.name,
            "zone_id": self.zone_id,
            "service_id": self.service_id,
            "invocation_id": self.entity_id,
        }
        key = f"{self.name}:{self.entity_id}"
        if self.transition is not None:
            key = f"{key}:{self.transition}"
        return [News(LIFECYCLE, payload, "coordinator", key)]


@dataclass(frozen=True, kw_only=True)
class InvocationCreated(InvocationEvent):
    """A service was called."""

    name: ClassVar[str] = machine.CREATED
    sentence: ClassVar[str] = "A service was called."

    method: str

    def summary(self) -> dict[str, Any]:
        return {"service_id": self.service_id, "method": self.method}


@dataclass(frozen=True, kw_only=True)
class InvocationStarted(InvocationEvent):
    """An attempt began."""

    name: ClassVar[str] = machine.STARTED
    sentence: ClassVar[str] = "An attempt at a call was started."


@dataclass(frozen=True, kw_only=True)
class InvocationCancelRequested(InvocationEvent):
    """Whoever works on the call is to stop."""

    name: ClassVar[str] = machine.CANCEL_REQUESTED
    sentence: ClassVar[str] = "The end of a call was asked for."


@dataclass(frozen=True, kw_only=True)
class InvocationCanceled(InvocationEvent):
    """The call ended without a result."""

    name: ClassVar[str] = machine.CANCELED
    sentence: ClassVar[str] = "A call was canceled."


@dataclass(frozen=True, kw_only=True)
class InvocationSucceeded(InvocationEvent):
    """The call ended as it should."""

    name: ClassVar[str] = machine.SUCCEEDED
    sentence: ClassVar[str] = "A call succeeded."


@dataclass(frozen=True, kw_only=True)
class InvocationFailed(InvocationEvent):
    """An attempt failed; there may be another."""

    name: ClassVar[str] = machine.FAILED
    sentence: ClassVar[str] = "An attempt at a call failed."


@dataclass(frozen=True, kw_only=True)
class InvocationTimedOut(InvocationEvent):
    """The call ended because its time was over."""

    name: ClassVar[str] = machine.TIMED_OUT
    sentence: ClassVar[str] = "A call timed out."


@dataclass(frozen=True, kw_only=True)
class InvocationsClosed(Event):
    """The platform moved these calls on: what the audit row is about; each announces
    itself. ``entity_id`` is the first of them."""

    name: ClassVar[str] = "invocations.closed"
    entity_type: ClassVar[str] = "invocations"
    sentence: ClassVar[str] = "Calls whose time was over were moved on."

    invocations: int

    def summary(self) -> dict[str, Any]:
        return {"invocations": self.invocations}


KINDS: dict[str, type[InvocationEvent]] = {
    kind.name: kind
    for kind in (
        InvocationStarted,
        InvocationCancelRequested,
        InvocationCanceled,
        InvocationSucceeded,
        InvocationFailed,
        InvocationTimedOut,
    )
}


def told(
    move: machine.Move,
    *,
    zone_id: str,
    invocation_id: str,
    service_id: str | None = None,
    transition: int | None = None,
) -> list[InvocationEvent]:
    """The events that ``move`` tells."""
    return [
        KINDS[name](
            zone_id=zone_id,
            entity_id=invocation_id,
            service_id=service_id,
            transition=transition,
        )
        for name in move.tells
    ]
