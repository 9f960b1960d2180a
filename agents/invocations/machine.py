"""How an invocation moves: the one table that services, tests and the manual share.

``MOVES`` is complete: what is not in it is refused. ``moves_on`` names the moves of one
occurrence, ``sources_of`` where it is possible, ``move`` what it does to one status.
"""

from __future__ import annotations

from dataclasses import dataclass

OPEN = ("pending", "running", "cancel_requested")


@dataclass(frozen=True, slots=True)
class Move:
    """On ``on``, an invocation in one of ``sources`` goes ``to``; ``tells`` are the
    events announced. ``provided`` says in words what else must hold."""

    on: str
    sources: tuple[str, ...]
    to: str
    tells: tuple[str, ...]
    provided: str = ""


CREATED = "invocation.created"
STARTED = "invocation.started"
CANCEL_REQUESTED = "invocation.cancel_requested"
CANCELED = "invocation.canceled"
SUCCEEDED = "invocation.succeeded"
FAILED = "invocation.failed"
TIMED_OUT = "invocation.timed_out"

RUNS = ("running", "cancel_requested")
MOVES = (
    Move("create", (), "pending", (CREATED,)),
    Move("start", ("pending",), "running", (STARTED,), "its sessions are live"),
    Move(
        "start",
        ("failed",),
        "running",
        (STARTED,),
        "attempts are left, none was canceled, the backoff is over, its sessions live",
    ),
    Move("cancel", ("pending",), "canceled", (CANCEL_REQUESTED, CANCELED)),
    Move("cancel", RUNS, "cancel_requested", (CANCEL_REQUESTED,)),
    Move("complete as succeeded", RUNS, "succeeded", (SUCCEEDED,)),
    Move("complete as failed", RUNS, "failed", (FAILED,)),
    Move("complete as canceled", ("cancel_requested",), "canceled", (CANCELED,)),
    Move("queue deadline", ("pending",), "timed_out", (TIMED_OUT,)),
    Move("run deadline", ("running",), "failed", (FAILED,), "attempts are left"),
    Move("last run deadline", ("running",), "timed_out", (TIMED_OUT,)),
    Move("cancel deadline", ("cancel_requested",), "canceled", (CANCELED,)),
    Move("end of a session or of the service", OPEN, "canceled", (CANCELED,)),
)
END = "end of a session or of the service"


def moves_on(on: str) -> list[Move]:
    return [move for move in MOVES if move.on == on]


def sources_of(on: str) -> list[str]:
    """The statuses in which ``on`` can happen."""
    return [source for move in moves_on(on) for source in move.sources]


def target_of(on: str) -> str:
    """Where ``on`` leads, which must not depend on the status."""
    (target,) = {move.to for move in moves_on(on)}
    return target


def move(on: str, status: str) -> Move | None:
    """What ``on`` does in ``status``; None when it cannot happen there."""
    return next((move for move in moves_on(on) if status in move.sources), None)


def the(on: str, status: str) -> Move:
    """What ``on`` does in ``status``, where it must be possible."""
    found = move(on, status)
    if found is None:
        raise LookupError(f"nothing happens on {on!r} in {status!r}")
    return found


def deadline(status: str, *, is_retryable: bool) -> str:
    """What happens in an open status when its time is over."""
    if status == "running":
        return "run deadline" if is_retryable else "last run deadline"
    return "queue deadline" if status == "pending" else "cancel deadline"


def as_markdown() -> str:
    """The table as the manual has it."""
    rows = ["| on | from | to | told | provided |", "| --- | --- | --- | --- | --- |"]
    for each in MOVES:
        sources = ", ".join(f"`{source}`" for source in each.sources)
        tells = ", ".join(f"`{event}`" for event in each.tells)
        rows.append(
            f"| {each.on} | {sources} | `{each.to}` | {tells} | {each.provided} |"
        )
    return "\n".join(rows)
