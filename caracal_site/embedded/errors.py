"""Why something cannot start, said to the operator in one sentence."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


class CannotStart(Exception):
    """A start that cannot go on; the message is one sentence for the operator."""


def reason(error: OSError) -> str:
    """The operating system's reason, fit for the middle of a sentence."""
    text = error.strerror or str(error)
    return text[:1].lower() + text[1:]


@contextmanager
def while_trying_to(do_something: str) -> Iterator[None]:
    """Turns the operating system's refusals into ``Cannot <do something>: ...``."""
    try:
        yield
    except OSError as error:
        raise CannotStart(f"Cannot {do_something}: {reason(error)}.") from error
