"""The rules of endpoints: pure functions on plain values."""

from __future__ import annotations

import re

ENDPOINT = re.compile(
    r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://[^/?#@\s]+(?:[/?#]\S*)?\Z", re.ASCII
)
# What a browser would run or open instead of calling.
UNCALLABLE = {"about", "blob", "data", "file", "javascript", "vbscript", "view-source"}


def endpoint_fault(url: str) -> str | None:
    """Why nobody can be called there, or None. Any scheme of a network protocol will
    do, but no user part: an endpoint is listed, and is no place for a secret."""
    if not url.isascii() or not url.isprintable():
        return "an absolute URL has printable ASCII characters only"
    match = ENDPOINT.match(url)
    if match is None:
        return "expected an absolute URL with a host and without a user part"
    if match["scheme"].lower() in UNCALLABLE:
        return "expected the scheme of a network protocol"
    return None
