"""What a trusted web console says about the account and the person it calls for.

``X-Caracal-Account`` is ``v1.<account>.<exp>.<mac>``, ``X-Caracal-Operator``
``v1.<payload>.<exp>.<mac>``: base64url parts, a time in Unix seconds and an
HMAC-SHA256 under the configured admin token (contract: management-core.md 2.6).
``v2`` signs ``caracal:<kind>:v2:<part>:<exp>:<METHOD>:<path>`` instead, and so is good
for one request only.

What is sent must hold: an assertion that does not is refused, and never left out, since
without it the request would be let into more zones. No database, clock or settings.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

from caracal_site import sealing
from caracal_site.api.errors import InvalidAccountAssertion

MAX_SECONDS = 900
MAX_ACCOUNT_BYTES = 256
MAX_PAYLOAD_LENGTH = 1024
MAX_AUTHOR_LENGTH = 256
AUTHOR_MARKS = " @._+'-"
ACCOUNT, OPERATOR = "HTTP_X_CARACAL_ACCOUNT", "HTTP_X_CARACAL_OPERATOR"
AUTHORED_BY = "HTTP_X_CARACAL_AUTHORIZED_BY"
CREATED_VIA = "HTTP_X_CARACAL_CREATED_VIA"


class Person(msgspec.Struct):
    """The operator of the web console."""

    id: str
    name: str
    email: str


@dataclass(frozen=True, slots=True)
class Asserted:
    """The account a request is for, and who is to be named for what it makes."""

    account_id: str | None = None
    author: str = ""
    by_operator: bool = False


NOTHING = Asserted()


@dataclass(frozen=True, slots=True)
class Signed:
    """What an assertion is judged by: the key, the time, and the request it is for."""

    key: str
    now: int
    method: str
    path: str

    def read(self, header: str, kind: str) -> bytes:
        """The subject of the assertion. Raises InvalidAccountAssertion."""
        version, *rest = header.split(".")
        if version not in ("v1", "v2") or len(rest) != 3 or not self.key:
            raise InvalidAccountAssertion
        encoded, expires_at, mac = rest
        if not (expires_at.isascii() and expires_at.isdigit() and len(expires_at) < 13):
            raise InvalidAccountAssertion
        if not self.now < int(expires_at) <= self.now + MAX_SECONDS:
            raise InvalidAccountAssertion
        subject = _decoded(encoded)
        if version == "v2":
            named = f"{encoded}:{expires_at}:{self.method}:{self.path}".encode()
        else:
            # The account stands there as it is, the person as it was sent.
            plain = subject if kind == "account" else encoded.encode()
            named = plain + f":{expires_at}".encode()
        message = f"caracal:{kind}:{version}:".encode() + named
        expected = hmac.new(self.key.encode(), message, hashlib.sha256).digest()
        if not sealing.same(_decoded(mac), expected):
            raise InvalidAccountAssertion
        return subject


def asserted(headers: Mapping[str, str], signed: Signed, *, trusts: bool) -> Asserted:
    """What the headers of a request assert. Raises InvalidAccountAssertion.

    Who made something may be named by requests with a valid assertion, and by those
    whose token ``trusts`` says is the web console's own; from others it is left out.
    """
    account = _account(headers.get(ACCOUNT), signed)
    if account is None and not trusts:
        return NOTHING
    author = ""
    if account is not None and OPERATOR in headers:
        person = _person(headers[OPERATOR], signed)
        author = person.name.strip() or person.email.strip()
    named = _wire_text(headers.get(AUTHORED_BY, ""))
    return Asserted(
        account_id=account,
        author=named if is_author(named) else author,
        by_operator=headers.get(CREATED_VIA) == "operator",
    )


def is_author(text: str) -> bool:
    """1 to 256 letters, digits, spaces and the marks of names and addresses."""
    return 0 < len(text) <= MAX_AUTHOR_LENGTH and all(
        unicodedata.category(char)[0] in "LN" or char in AUTHOR_MARKS for char in text
    )


def _account(header: str | None, signed: Signed) -> str | None:
    if header is None:
        return None
    subject = signed.read(header, "account")
    if not 0 < len(subject) <= MAX_ACCOUNT_BYTES or b"\0" in subject:
        raise InvalidAccountAssertion
    try:
        return subject.decode()
    except UnicodeDecodeError:
        raise InvalidAccountAssertion from None


def _person(header: str, signed: Signed) -> Person:
    if len(header) > MAX_PAYLOAD_LENGTH + 128:
        raise InvalidAccountAssertion
    try:
        return msgspec.json.decode(signed.read(header, "operator"), type=Person)
    except msgspec.MsgspecError:
        raise InvalidAccountAssertion from None


def _decoded(text: str) -> bytes:
    try:
        padded = text + "=" * (-len(text) % 4)
        return base64.b64decode(padded.encode("ascii"), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise InvalidAccountAssertion from None


def _wire_text(text: str) -> str:
    """A header as text: WSGI hands its bytes over as Latin-1."""
    try:
        return text.encode("latin-1").decode()
    except UnicodeError:
        return ""
