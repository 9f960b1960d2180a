"""Facts about grants that refuse a request."""

from __future__ import annotations

from caracal_site.errors import CaracalError, InvalidBody, RetryLater


class _Detailed(CaracalError):
    """Tells clients more in ``detail``."""

    def __init__(self, detail: str = "") -> None:
        extra = {"detail": detail} if detail else {}
        sentence = f"{detail[:1].upper()}{detail[1:]}." if detail else None
        super().__init__(sentence, extra=extra)
        self.detail = detail


class GrantNotFound(CaracalError):
    """There is no such grant in this zone."""

    code = "grant_not_found"
    status = 404


class InvalidGrant(InvalidBody):
    """The body is no valid grant; details.issues lists every fault."""


class GrantAlreadyActive(CaracalError):
    """The user has granted the resource to the application already; grant_id names
    the grant. Revoke it to grant other scopes."""

    code = "grant_already_active"
    status = 409

    def __init__(self, grant_id: str | None = None) -> None:
        super().__init__(extra={"grant_id": grant_id} if grant_id else None)


class GrantScopesExceedResource(CaracalError):
    """The resource has not all of these scopes."""

    code = "grant_scopes_exceed_resource"
    status = 403


class InvalidProviderGrant(InvalidBody):
    """The body is no valid provider grant; details.issues lists every fault."""

    code = "invalid_provider_grant"


class InvalidProviderGrantRevoke(InvalidBody):
    """The body names no provider grant; details.issues lists every fault."""

    code = "invalid_provider_grant_revoke"


class InvalidProviderOAuthAuthorize(InvalidBody):
    """The body is no valid authorization; details.issues lists every fault."""

    code = "invalid_provider_oauth_authorize"


class ProviderGrantNotFound(CaracalError):
    """There is no such provider grant in this zone, or none in force."""

    code = "provider_grant_not_found"
    status = 404


class ProviderGrantUnsupported(_Detailed):
    """Accounts are connected to providers of kind oauth2_authorization_code only."""

    code = "provider_grant_unsupported"
    status = 400


class ProviderResourceMismatch(CaracalError):
    """The resource gets its credential from another provider."""

    code = "provider_resource_mismatch"
    status = 400


class ProviderNotConfigured(_Detailed):
    """The provider lacks what an authorization needs."""

    code = "invalid_provider_config"
    status = 400


class ProviderAuthorizationEndpointInvalid(_Detailed):
    """The provider's authorization endpoint is no https URL, or names a user."""

    code = "provider_authorization_endpoint_invalid"
    status = 400


class InvalidOAuthCallback(CaracalError):
    """The provider's answer has no usable state, or a parameter twice."""

    code = "invalid_oauth_callback"
    status = 400


class OAuthStateExpired(CaracalError):
    """The authorization was finished before, has expired, or was never begun."""

    code = "oauth_state_expired"
    status = 400


class OAuthStateInvalid(CaracalError):
    """What was kept of the authorization cannot be used any more; begin again."""

    code = "oauth_state_invalid"
    status = 400


class OAuthStateMismatch(_Detailed):
    """The authorization was begun elsewhere."""

    code = "oauth_state_mismatch"
    status = 400


class OAuthIssuerMismatch(CaracalError):
    """The answer names another issuer than the provider the account was asked of."""

    code = "oauth_issuer_mismatch"
    status = 400


class ProviderOAuthDenied(_Detailed):
    """The provider did not authorize the connection."""

    code = "provider_oauth_denied"
    status = 400


class AuthorizationCodeRequired(CaracalError):
    """The provider's answer has no code."""

    code = "authorization_code_required"
    status = 400


class ProviderTokenEndpointNotAllowed(_Detailed):
    """The token endpoint is no https URL on one of allowed_token_hosts."""

    code = "provider_token_endpoint_not_allowed"
    status = 400


class ProviderTokenExchangeFailed(_Detailed):
    """The token endpoint could not be reached, or refused."""

    code = "provider_token_exchange_failed"
    status = 502


class ProviderTokenResponseInvalid(_Detailed):
    """The token endpoint's answer is not what the protocol wants."""

    code = "provider_token_response_invalid"
    status = 502


class ProviderBusy(RetryLater):
    """Too many requests to providers are under way at this moment."""

    code = "provider_busy"
    status = 503


class ProviderGrantScopesInsufficient(CaracalError):
    """The user did not grant all of these scopes."""

    code = "provider_grant_scopes_insufficient"
    status = 403


class CredentialNotProvisioned(_Detailed):
    """The user has connected no account for this resource."""

    code = "credential_not_provisioned"
    status = 403


class CredentialRefreshFailed(_Detailed):
    """The tokens of the account are over and could not be renewed."""

    code = "credential_refresh_failed"
    status = 502
