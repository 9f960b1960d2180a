"""Requests to addresses somebody else chose, such as the token endpoints of providers.

A name is resolved once, every address it has must be one a request may go to
(``caracal_site.addresses``), and the connection is made to such an address, not to
the name: an answer that changes between check and use changes nothing. TLS always,
with the name in SNI, certificate and ``Host``. No proxy, no redirect, no cookie. One
deadline covers all of it, however slowly the other side answers.
"""

from __future__ import annotations

import http.client
import math
import socket
import ssl
import time
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from django.conf import settings

from caracal_site.addresses import is_reachable, networks
from caracal_site.bounded import SharedRun

SECONDS = 15.0
MAX_BYTES = 65_536
MAX_ADDRESSES = 4
HTTPS_PORT = 443
PATH_SAFE = "/%:@!$&'()*+,;=~-._"
SENT = {
    "Content-Type": "application/x-www-form-urlencoded",
    "Accept": "application/json",
    "User-Agent": "caracal",
    "Connection": "close",
}
Target = tuple[int, Any]


class Unreachable(Exception):
    """There was no answer; the docstring of the class says why, in words for people
    that give away nothing of what the other side said."""

    @property
    def why(self) -> str:
        return " ".join((type(self).__doc__ or "").split())


class NameUnknown(Unreachable):
    """the host name does not resolve"""


class AddressRefused(Unreachable):
    """the host has an address that requests may not go to"""


class CertificateRefused(Unreachable):
    """the certificate of the host is not valid for it or not trusted"""


class TooSlow(Unreachable):
    """the host did not answer in time"""


class TooLarge(Unreachable):
    """the answer is larger than any token answer"""


class Broken(Unreachable):
    """the connection was refused, broken off, or not understood"""


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer of whatever status. The body may hold secrets."""

    status: int
    body: bytes = field(repr=False)


def post_form(
    url: str,
    fields: Mapping[str, str],
    headers: Mapping[str, str],
    *,
    seconds: float = SECONDS,
) -> Reply:
    """Posts ``fields`` as a form to the https ``url``. Raises Unreachable."""
    parts = urlsplit(url)
    if parts.scheme.lower() != "https" or not parts.hostname:
        raise ValueError("not an https URL")
    path = quote(parts.path or "/", safe=PATH_SAFE)
    query = f"?{quote(parts.query, safe=PATH_SAFE + '?')}" if parts.query else ""
    try:
        connection = _Connection(
            _ascii(parts.hostname),
            parts.port or HTTPS_PORT,
            deadline=time.monotonic() + seconds,
        )
        with closing(connection):
            connection.request(
                "POST", path + query, urlencode(fields).encode(), SENT | {**headers}
            )
            answer = connection.getresponse()
            body = answer.read(MAX_BYTES + 1)
    except ssl.SSLCertVerificationError:
        raise CertificateRefused from None
    except TimeoutError:
        raise TooSlow from None
    except (OSError, http.client.HTTPException, ValueError):
        raise Broken from None
    if len(body) > MAX_BYTES:
        raise TooLarge
    return Reply(answer.status, body)


def _ascii(host: str) -> str:
    try:
        return host if host.isascii() else host.encode("idna").decode()
    except UnicodeError:
        raise NameUnknown from None


def _resolved(host: str, port: int, deadline: float) -> list[Target]:
    """The addresses of ``host``, all of which a request may go to."""
    lookup = SharedRun(lambda: socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
    try:
        found = lookup.begin().result(_left(deadline))
    except (socket.gaierror, UnicodeError):
        raise NameUnknown from None
    allowed = networks(tuple(settings.EGRESS_ALLOWED_NETWORKS))
    if not all(is_reachable(str(place[0]), allowed) for *_, place in found):
        raise AddressRefused
    return [(family, place) for family, _, _, _, place in found[:MAX_ADDRESSES]]


def _left(deadline: float) -> float:
    """The seconds until ``deadline``. Raises TimeoutError when there are none."""
    seconds = deadline - time.monotonic()
    if seconds <= 0:
        raise TimeoutError
    return seconds


class _TimedSocket(ssl.SSLSocket):
    """Each read and write may take what is left until the deadline, no longer."""

    deadline = math.inf

    def recv_into(self, *args: Any, **kwargs: Any) -> int:
        self.settimeout(_left(self.deadline))
        return super().recv_into(*args, **kwargs)

    def send(self, *args: Any, **kwargs: Any) -> int:
        self.settimeout(_left(self.deadline))
        return super().send(*args, **kwargs)


class _Connection(http.client.HTTPSConnection):
    """Connects to the checked addresses of its host, in their order."""

    def __init__(self, host: str, port: int, *, deadline: float) -> None:
        self.deadline, self.tls = deadline, _tls()
        super().__init__(host, port, context=self.tls)

    def connect(self) -> None:
        targets = _resolved(self.host, self.port, self.deadline)
        while targets:
            # Each gets its share of the time, so that a dead one leaves some.
            seconds = _left(self.deadline) / len(targets)
            try:
                self.sock = self._opened(*targets.pop(0), seconds)
            except OSError:
                if not targets:
                    raise
            else:
                return

    def _opened(self, family: int, place: Any, seconds: float) -> ssl.SSLSocket:
        until = time.monotonic() + seconds
        with socket.socket(family, socket.SOCK_STREAM) as plain:
            plain.settimeout(seconds)
            plain.connect(place)
            plain.settimeout(_left(until))
            secured = self.tls.wrap_socket(plain, server_hostname=self.host)
        secured.deadline = self.deadline  # type: ignore[attr-defined]
        return secured


def _tls() -> ssl.SSLContext:
    context = ssl.create_default_context()
    if settings.EGRESS_CA_FILE:
        context.load_verify_locations(settings.EGRESS_CA_FILE)
    context.sslsocket_class = _TimedSocket
    return context
