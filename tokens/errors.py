"""Refusals of the token service (contract: tokens.md 8)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from caracal_site.errors import CaracalError, RateLimited, RetryLater


class InvalidTokenRequest(CaracalError):
    """The token request is malformed."""

    code = "invalid_request"
    status = 400


class UnsupportedGrantType(CaracalError):
    """grant_type must be client_credentials or the token-exchange URN."""

    code = "unsupported_grant_type"
    status = 400


class ClientNotAuthenticated(CaracalError):
    """application_id and client_secret do not name a live application of this zone."""

    code = "access_denied"
    status = 401


class ChallengeInvalid(CaracalError):
    """The step-up challenge is not one that was satisfied for this request, or it was
    rejected or used."""

    code = "access_denied"
    status = 401


class InteractionRequired(CaracalError):
    """A person has to approve this request: send it again with challenge_id once they
    have."""

    code = "interaction_required"
    status = 401

    def __init__(self, challenge: Mapping[str, Any]) -> None:
        super().__init__(
            extra=challenge,
            headers={
                "WWW-Authenticate": 'Bearer error="interaction_required"',
                "Pragma": "no-cache",
            },
        )


class TooManyChallenges(RetryLater):
    """Too many requests of this application already wait for a person."""

    code = "provider_rate_limited"
    status = 429
    retry_after_seconds = 60


class ChallengeNotFound(CaracalError):
    """There is no such step-up challenge in this zone."""

    code = "challenge_not_found"
    status = 404


class ChallengeNotSatisfiable(CaracalError):
    """The step-up challenge can no longer be answered."""

    code = "challenge_not_satisfiable"
    status = 409


class NoSuchStepUp(CaracalError):
    """There is no such step-up challenge."""

    code = "resource_not_found"
    status = 404


class StepUpExpired(CaracalError):
    """The step-up challenge was not answered and used in time."""

    code = "challenge_expired"
    status = 410


class SubjectTokenInvalid(CaracalError):
    """subject_token is no session token of this issuer and zone in its time."""

    code = "invalid_token"
    status = 401


class OperationNotPermitted(CaracalError):
    """The resource does not declare this operation, or the subject token has not its
    scope."""

    code = "operation_not_permitted"
    status = 403


class ExchangeDenied(CaracalError):
    """Nothing that was asked for may be granted; the audit trail tells why."""

    code = "access_denied"
    status = 403


class ZoneInvalid(CaracalError):
    """The application belongs to another zone than zone_id names."""

    code = "zone_invalid"
    status = 403


class ForeignToken(CaracalError):
    """The token was issued to another client, which alone may revoke it."""

    code = "access_denied"
    status = 403


class TooManyExchanges(RetryLater):
    """Too many token requests in this minute."""

    code = "provider_rate_limited"
    status = 429


class TokenServiceUnavailable(RetryLater):
    """The database cannot be reached; no token was issued."""

    code = "sts_unavailable"
    status = 503


class PolicyEvaluationFailed(RetryLater):
    """The zone's policies could not be evaluated; no token was issued."""

    code = "policy_eval_failed"
    status = 503


class ZoneIdMissing(CaracalError):
    """The query must name the zone: ?zone_id=<id>."""

    code = "invalid_token"
    status = 400


class ZoneHasNoKeys(CaracalError):
    """There is no live zone with this id, so there are no keys."""

    code = "resource_not_found"
    status = 404


class SigningKeyNotFound(CaracalError):
    """There is no such signing key in this zone."""

    code = "signing_key_not_found"
    status = 404


class RotationPending(CaracalError):
    """A newer key is already published and will sign once verifiers know it."""

    code = "rotation_pending"
    status = 409


class NoTokenToVerify(CaracalError):
    """Send the token to verify as token, or as authorization."""

    code = "missing_token"
    status = 400

    def __init__(self) -> None:
        super().__init__(extra={"valid": False})


class TokenInvalid(CaracalError):
    """The token is not a valid one of this issuer, or not for what is expected."""

    code = "token_invalid"
    status = 401

    def __init__(self, sentence: str | None = None) -> None:
        super().__init__(sentence, extra={"valid": False})


class TooManyVerifications(RateLimited):
    """Too many tokens to verify in this minute."""

    def __init__(self, **given: Any) -> None:
        super().__init__(extra={"valid": False}, **given)
