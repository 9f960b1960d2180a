"""The values members of a provider's configuration may have.

Each function returns the value as it is kept, or raises ValueError with what it must
be: a phrase that begins with "must". No message repeats what was given, which may be
a secret.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from ipaddress import IPv6Address
from typing import Any
from urllib.parse import SplitResult, urlsplit

from caracal_site.api.fields import BLANKS

MAX_TEXT = 2048
MAX_SECRET = 16_384
MAX_HOST = 253
MAX_LISTED = 100
MAX_PARAMS = 50

HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,256}\Z")
AUTH_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,63}\Z")
PARAMETER_NAME = re.compile(r"[A-Za-z0-9._~-]{1,256}\Z")
HOST_NAME = re.compile(
    r"(?=.{1,253}\Z)[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
    r"(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)*\Z"
)
# As resolvers take them: names of services may have underscores.
RESOLVABLE = re.compile(r"(?=.{1,254}\Z)[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*\.?\Z")
URI_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*\Z")
CONTROL = re.compile(r"[\x00-\x1f\x7f]")
CONTROL_IN_KEY = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


def text(given: Any) -> str:
    """Trimmed, not blank, on one line."""
    if not isinstance(given, str):
        raise ValueError("must be a string")
    trimmed = given.strip(BLANKS)
    if not trimmed:
        raise ValueError("must be a non-blank string")
    if len(trimmed) > MAX_TEXT:
        raise ValueError(f"must have at most {MAX_TEXT} characters")
    if CONTROL.search(trimmed):
        raise ValueError("must not contain control characters")
    return trimmed


def flag(given: Any) -> bool:
    if not isinstance(given, bool):
        raise ValueError("must be true or false")
    return given


def choice(choices: tuple[str, ...], given: Any) -> str:
    if not isinstance(given, str) or given not in choices:
        raise ValueError(f"must be {', '.join(choices[:-1])} or {choices[-1]}")
    return given


def secret(given: Any) -> str:
    """Kept as given; it goes into a header, so it is on one line."""
    return _secret(given, CONTROL)


def private_key(given: Any) -> str:
    """Kept as given; keys have lines."""
    return _secret(given, CONTROL_IN_KEY)


def _secret(given: Any, refused: re.Pattern[str]) -> str:
    if not isinstance(given, str) or not given.strip(BLANKS):
        raise ValueError("must be a non-blank string")
    if len(given) > MAX_SECRET:
        raise ValueError(f"must have at most {MAX_SECRET} characters")
    if refused.search(given):
        raise ValueError("must not contain control characters")
    return given


def header_name(given: Any) -> str:
    return _matching(given, HEADER_NAME, "must be an HTTP header name")


def auth_scheme(given: Any) -> str:
    phrase = "must be a letter followed by letters, digits and hyphens"
    return _matching(given, AUTH_SCHEME, phrase)


def parameter_name(given: Any) -> str:
    phrase = "must consist of letters, digits and . _ ~ -"
    return _matching(given, PARAMETER_NAME, phrase)


def _matching(given: Any, pattern: re.Pattern[str], phrase: str) -> str:
    trimmed = text(given)
    if not pattern.match(trimmed):
        raise ValueError(phrase)
    return trimmed


def texts(given: Any) -> list[str]:
    """A list with something in it, kept as given."""
    _listed(given, "must be a non-empty list of non-blank strings")
    for entry in given:
        text(entry)
    return list(given)


def host_names(given: Any) -> list[str]:
    """DNS names, trimmed and in lower case."""
    _listed(given, "must be DNS hostnames")
    names = [entry.strip(BLANKS).lower() for entry in given]
    if not all(HOST_NAME.match(name) for name in names):
        raise ValueError("must be DNS hostnames")
    return names


def _listed(given: Any, phrase: str) -> None:
    if not isinstance(given, list) or not given:
        raise ValueError(phrase)
    if not all(isinstance(entry, str) and entry.strip(BLANKS) for entry in given):
        raise ValueError(phrase)
    if len(given) > MAX_LISTED:
        raise ValueError(f"must have at most {MAX_LISTED} entries")


def params(reserved: Collection[str], given: Any) -> dict[str, str]:
    """Parameter names with trimmed values; the protocol's own are not for providers."""
    if not isinstance(given, dict):
        raise ValueError("must be an object of strings")
    if len(given) > MAX_PARAMS:
        raise ValueError(f"must have at most {MAX_PARAMS} parameters")
    if not all(PARAMETER_NAME.match(name) for name in given):
        raise ValueError("must have names of letters, digits and . _ ~ -")
    taken = sorted(reserved & given.keys())
    if taken:
        raise ValueError(f"must not set {taken[0]}")
    try:
        return {name: text(value) for name, value in given.items()}
    except ValueError:
        raise ValueError("must have non-blank strings as values") from None


def https_url(given: Any) -> str:
    """An address requests are sent to: https, with a host and without a user."""
    trimmed = _uri(given, "must be an HTTPS URL")
    parts = _split(trimmed, "must be an HTTPS URL")
    if parts.scheme.lower() != "https" or parts.fragment:
        raise ValueError("must be an HTTPS URL")
    return trimmed


def redirect_uri(given: Any) -> str:
    """Any absolute URI; those of the web have a host. Applications on devices have
    schemes of their own."""
    phrase = "must be an absolute URI"
    trimmed = _uri(given, phrase)
    scheme, colon, rest = trimmed.partition(":")
    if not colon or not URI_SCHEME.match(scheme) or not rest:
        raise ValueError(phrase)
    if scheme.lower() in ("http", "https"):
        _split(trimmed, phrase, may_name_user=True)
    return trimmed


def _uri(given: Any, phrase: str) -> str:
    try:
        trimmed = text(given)
    except ValueError:
        raise ValueError(phrase) from None
    if not trimmed.isprintable() or any(mark.isspace() for mark in trimmed):
        raise ValueError(phrase)
    return trimmed


def _split(url: str, phrase: str, *, may_name_user: bool = False) -> SplitResult:
    try:
        parts = urlsplit(url)
        named = host_of(url)
        port = parts.port
    except ValueError:
        raise ValueError(phrase) from None
    if not named or port == 0 or ("@" in parts.netloc and not may_name_user):
        raise ValueError(phrase)
    return parts


def host_of(url: str) -> str:
    """The host of ``url`` in lower-case ASCII, an IPv6 address in brackets.

    Raises ValueError when there is none that could be resolved.
    """
    parts = urlsplit(url)
    host = parts.hostname or ""
    if "[" in parts.netloc:
        return f"[{IPv6Address(host)}]"
    name = host_name(host)
    if not RESOLVABLE.match(name):
        raise ValueError("no host")
    return name


def host_name(given: str) -> str:
    """``given`` as it is compared and asked for: lower case, and in ASCII."""
    lowered = given.strip(BLANKS).lower()
    if lowered.isascii():
        return lowered
    try:
        return lowered.encode("idna").decode()
    except UnicodeError:
        raise ValueError("no host name") from None
