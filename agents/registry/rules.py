"""The rules of endpoints: pure functions on plain values."""

from __future__ import annotations

import ipaddress
import re

ENDPOINT = re.compile(
    r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://"
    r"(?:\[(?P<ipv6>[0-9A-Fa-f:.]+)\]|[A-Za-z0-9._~-]+)"
    r"(?::(?P<port>[0-9]{1,5}))?(?:[/?#]\S*)?\Z",
    re.ASCII,
)
MAX_PORT = 65_535
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
    if int(match["port"] or 1) not in range(1, MAX_PORT + 1):
        return f"expected a port between 1 and {MAX_PORT}"
    if match["ipv6"] and not _is_ipv6(match["ipv6"]):
        return "expected an IPv6 address between brackets"
    return None


def _is_ipv6(text: str) -> bool:
    try:
        ipaddress.IPv6Address(text)
    except ValueError:
        return False
    return True
