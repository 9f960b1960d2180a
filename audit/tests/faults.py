"""The long form of fault tests, and what it counts.

``manage.py test --faults`` names a file in ``CARACAL_FAULTS``: with it, tests that ask
``IS_LONG`` take their large numbers, and what they ``say`` is printed at the end.
"""

from __future__ import annotations

import os
from pathlib import Path

COUNTS = os.environ.get("CARACAL_FAULTS", "")
IS_LONG = bool(COUNTS)


def say(told: str) -> None:
    """Keeps a sentence for the end, and shows it at once."""
    if IS_LONG:
        print(f"  {told}", flush=True)  # noqa: T201 - the long form shows how far it is
        with Path(COUNTS).open("a", encoding="utf-8") as file:
            file.write(f"{told}\n")
