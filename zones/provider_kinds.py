"""What each kind of provider is configured with: no database, clock or settings."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from functools import partial
from typing import Any

from zones import provider_values as values
from zones.models import ProviderKind

BASIC, POST = "client_secret_basic", "client_secret_post"
PRIVATE_KEY_JWT, NO_AUTH = "private_key_jwt", "none"

RESERVED_TOKEN_PARAMS = frozenset(
    [
        *("client_assertion", "client_assertion_type", "client_id", "client_secret"),
        *("code", "code_verifier", "grant_type", "redirect_uri", "refresh_token"),
        "scope",
    ]
)
RESERVED_AUTHORIZATION_PARAMS = frozenset(
    [
        *("client_id", "code_challenge", "code_challenge_method", "redirect_uri"),
        *("response_type", "scope", "state"),
    ]
)


class Shape(Enum):
    """How a person types a member in."""

    TEXT = auto()
    FLAG = auto()
    CHOICE = auto()
    LINES = auto()
    PAIRS = auto()
    SECRET = auto()
    SECRET_LINES = auto()


@dataclass(frozen=True, slots=True)
class Member:
    """A member of ``config_json``; ``read`` gives its value as it is kept, or raises
    ValueError with what it must be."""

    name: str
    read: Callable[[Any], Any]
    about: str
    shape: Shape = Shape.TEXT
    choices: tuple[str, ...] = ()
    needed: bool = False
    default: str | None = None

    @property
    def is_secret(self) -> bool:
        return self.shape in (Shape.SECRET, Shape.SECRET_LINES)


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of provider: what it is for, and the members of its configuration."""

    about: str
    members: tuple[Member, ...] = ()
    named: Mapping[str, Member] = field(init=False)

    def __post_init__(self) -> None:
        named = {member.name: member for member in self.members}
        object.__setattr__(self, "named", named)


def _choice(name: str, about: str, choices: tuple[str, ...]) -> Member:
    read = partial(values.choice, choices)
    return Member(name, read, about, Shape.CHOICE, choices=choices, default=choices[0])


def _endpoint(name: str, about: str) -> Member:
    return Member(name, values.https_url, about, needed=True)


def _params(name: str, reserved: frozenset[str], about: str) -> Member:
    return Member(name, partial(values.params, reserved), about, Shape.PAIRS)


CLIENT_ID = Member(
    "client_id", values.text, "The client id at the authorization server.", needed=True
)
CLIENT_SECRET = Member(
    "client_secret", values.secret, "Kept sealed, never shown.", Shape.SECRET
)
TOKEN_ENDPOINT = _endpoint(
    "token_endpoint", "Where tokens are asked for: an https URL."
)
SCOPES = Member(
    "scopes", values.texts, "OAuth scopes to ask for, one a line.", Shape.LINES
)
OAUTH_HOSTS = Member(
    "allowed_token_hosts",
    values.texts,
    "Hosts the token endpoint may be on, one a line; its own when empty.",
    Shape.LINES,
)
TOKEN_PARAMS = _params(
    "token_params",
    RESERVED_TOKEN_PARAMS,
    "More members of the token request, name=value, one a line.",
)
SENT_AS = (
    Member(
        "auth_header",
        values.header_name,
        "The header the credential is sent in, Authorization when empty.",
    ),
    Member("auth_scheme", values.auth_scheme, "The word before it, such as Bearer."),
)
COMMON = (
    Member(
        "forward_caracal_identity",
        values.flag,
        "Tell the upstream on whose behalf the request is made.",
        Shape.FLAG,
    ),
    Member(
        "allow_runtime_injection",
        values.flag,
        "Give the credential to agents' runtimes that ask for it.",
        Shape.FLAG,
    ),
)

NO_MEMBERS = "It takes no configuration."
KINDS: Mapping[str, Kind] = {
    ProviderKind.NONE: Kind(f"For upstreams that need no credential. {NO_MEMBERS}"),
    ProviderKind.CARACAL_MANDATE: Kind(
        f"For upstreams that accept the platform's own tokens. {NO_MEMBERS}"
    ),
    ProviderKind.API_KEY: Kind(
        "A key that is sent in a header or in the query of every request.",
        (
            _choice("auth_location", "Where the key is sent.", ("header", "query")),
            Member(
                "header_name",
                values.header_name,
                "The header it is sent in; needed for a header.",
            ),
            Member(
                "query_param_name",
                values.parameter_name,
                "The query parameter it is sent in; needed for the query.",
            ),
            Member(
                "auth_scheme",
                values.auth_scheme,
                "The word before the key in the header, if any.",
            ),
            Member(
                "api_key",
                values.secret,
                "Kept sealed, never shown.",
                Shape.SECRET,
                needed=True,
            ),
            *COMMON,
        ),
    ),
    ProviderKind.BEARER_TOKEN: Kind(
        "A fixed token that is sent with every request.",
        (
            Member(
                "bearer_token",
                values.secret,
                "Kept sealed, never shown.",
                Shape.SECRET,
                needed=True,
            ),
            Member(
                "allowed_token_hosts",
                values.host_names,
                "Hosts the token may be sent to, one a line; any when empty.",
                Shape.LINES,
            ),
            *SENT_AS,
            *COMMON,
        ),
    ),
    ProviderKind.OAUTH2_CLIENT_CREDENTIALS: Kind(
        "Tokens that an authorization server gives to this platform itself.",
        (
            TOKEN_ENDPOINT,
            CLIENT_ID,
            _choice(
                "client_auth_method",
                "How the client proves who it is.",
                (BASIC, POST, PRIVATE_KEY_JWT, NO_AUTH),
            ),
            CLIENT_SECRET,
            Member(
                "private_key",
                values.private_key,
                "For private_key_jwt. Kept sealed, never shown.",
                Shape.SECRET_LINES,
            ),
            Member("key_id", values.text, "The key's id, for private_key_jwt."),
            SCOPES,
            Member("audience", values.text, "The audience to ask for."),
            Member("resource", values.text, "The resource to ask for."),
            OAUTH_HOSTS,
            TOKEN_PARAMS,
            *SENT_AS,
            *COMMON,
        ),
    ),
    ProviderKind.OAUTH2_AUTHORIZATION_CODE: Kind(
        "Tokens that people give to this platform by signing in at a provider.",
        (
            _endpoint("authorization_endpoint", "Where people sign in: an https URL."),
            TOKEN_ENDPOINT,
            Member(
                "redirect_uri",
                values.redirect_uri,
                "Where people come back to, as registered at the provider.",
                needed=True,
            ),
            CLIENT_ID,
            _choice(
                "client_auth_method",
                "How the client proves who it is.",
                (BASIC, POST, NO_AUTH),
            ),
            CLIENT_SECRET,
            SCOPES,
            OAUTH_HOSTS,
            Member(
                "revocation_endpoint",
                values.https_url,
                "Where tokens are given back when an account is disconnected.",
            ),
            Member(
                "issuer",
                values.https_url,
                "The issuer people come back from, if the provider names one.",
            ),
            _params(
                "authorization_params",
                RESERVED_AUTHORIZATION_PARAMS,
                "More members of the authorization request, name=value, one a line.",
            ),
            TOKEN_PARAMS,
            *SENT_AS,
            *COMMON,
        ),
    ),
}
OAUTH = frozenset(
    {ProviderKind.OAUTH2_CLIENT_CREDENTIALS, ProviderKind.OAUTH2_AUTHORIZATION_CODE}
)


def described() -> str:
    """Every kind with its members, for people who read about the API."""
    told = ["What is secret is sealed and only named in `secret_config_keys`."]
    for kind, known in KINDS.items():
        names = ", ".join(_described(member) for member in known.members)
        told.append(f"`{kind}`: {names or 'no members'}.")
    return "\n\n".join(told)


def _described(member: Member) -> str:
    marks = ["secret"] * member.is_secret + ["required"] * member.needed
    if member.choices:
        marks.append(f"{member.default} unless {' or '.join(member.choices[1:])}")
    return f"`{member.name}`" + (f" ({', '.join(marks)})" if marks else "")
