"""Facts about zones and what lives in them that refuse a request."""

from __future__ import annotations

from collections.abc import Sequence

from caracal_site.errors import CaracalError, InvalidBody, Issue, RateLimited


def _sentence(text: str) -> str:
    """The contract's short text as a sentence for ``error_description``."""
    return f"{text[0].upper()}{text[1:]}."


class ReservedNamespace(CaracalError):
    """The name or identifier begins with a prefix that is reserved for the platform."""

    code = "reserved_namespace"
    status = 409

    def __init__(self, prefix: str) -> None:
        detail = f"the '{prefix}' namespace is reserved for Caracal internal systems"
        super().__init__(_sentence(detail), extra={"detail": detail})


class InvalidZone(InvalidBody):
    """The zone is not valid; details.issues lists every fault."""

    code = "invalid_zone"


class ZoneSlugConflict(CaracalError):
    """Another zone has this slug."""

    code = "zone_slug_conflict"
    status = 409


class DcrShutdownNotApplicable(CaracalError):
    """dcr_shutdown only goes with dcr_enabled set to false."""

    code = "dcr_shutdown_not_applicable"
    status = 400


class DcrShutdownRequired(CaracalError):
    """Self-registered applications are live: say keep_live or revoke_live."""

    code = "dcr_shutdown_required"
    status = 409

    def __init__(self, live: int) -> None:
        super().__init__(extra={"live_dcr_applications": live})


class GlobalTokenRequired(CaracalError):
    """This takes an admin token for all zones."""

    code = "admin_token_global_required"
    status = 403


class InvalidApplication(InvalidBody):
    """The application is not valid; details.issues lists every fault."""

    code = "invalid_application"


class ApplicationNotFound(CaracalError):
    """There is no such application in this zone."""

    code = "application_not_found"
    status = 404


class ApplicationNameTaken(CaracalError):
    """Another application of the zone has this name."""

    code = "application_name_taken"
    status = 409


class ApplicationExpired(CaracalError):
    """The self-registered application has expired; register it again."""

    code = "application_expired"
    status = 409


class DcrDisabled(CaracalError):
    """Applications cannot register themselves in this zone."""

    code = "dcr_disabled"
    status = 403


class DcrLimitExceeded(RateLimited):
    """The zone has as many self-registered applications as it may have."""

    code = "dcr_limit_exceeded"
    retry_after_seconds = 60


class DcrRateLimitExceeded(RateLimited):
    """Too many applications were registered in this second."""

    code = "dcr_rate_limit_exceeded"


class _TraitRefused(CaracalError):
    """The trait is not accepted."""

    status = 403

    def __init__(self, detail: str) -> None:
        super().__init__(_sentence(detail), extra={"detail": detail})


class TraitInvalid(_TraitRefused):
    """A trait is malformed, or unknown in its namespace."""

    code = "trait_invalid"


class TraitDuplicate(_TraitRefused):
    """A trait is named twice."""

    code = "trait_duplicate"


class TraitForbidden(_TraitRefused):
    """A trait that gives authority needs a global admin token and a managed app."""

    code = "trait_forbidden"


class TraitCountExceeded(_TraitRefused):
    """An application has at most 32 traits."""

    code = "trait_count_exceeded"


class InvalidProvider(InvalidBody):
    """The provider is not valid; details.issues lists every fault."""

    code = "invalid_provider"


class InvalidProviderIdentifier(CaracalError):
    """A provider identifier is provider:// and lower-case words joined by hyphens."""

    code = "invalid_provider_identifier"
    status = 400

    def __init__(self, message: str) -> None:
        super().__init__(_sentence(message), extra={"message": message})


class InvalidProviderConfig(InvalidBody):
    """The configuration does not fit the kind of provider; details.issues lists every
    fault."""

    code = "invalid_provider_config"

    def __init__(self, message: str, issues: Sequence[Issue]) -> None:
        told = f"The configuration does not fit: {message}."
        super().__init__(issues, told, extra={"message": message})


class ProviderConfigRequired(CaracalError):
    """A change of kind needs the whole new config_json."""

    code = "provider_config_required"
    status = 400


class ProviderNotFound(CaracalError):
    """There is no such provider in this zone."""

    code = "provider_not_found"
    status = 404


class ProviderIdentifierConflict(CaracalError):
    """Another provider of the zone has this identifier."""

    code = "provider_identifier_conflict"
    status = 409


class ProviderInUse(CaracalError):
    """Resources of the zone use this provider; give them another one first."""

    code = "provider_in_use"
    status = 409

    def __init__(self, resources: int) -> None:
        super().__init__(extra={"resources": resources})


class ProtectedProvider(CaracalError):
    """The provider of resources without a credential is kept by the platform."""

    code = "protected_provider"
    status = 409

    def __init__(self, detail: str) -> None:
        super().__init__(_sentence(detail), extra={"detail": detail})


class ProviderTestRateLimited(RateLimited):
    """Too many connection tests in this zone or at this time."""

    code = "provider_test_rate_limited"


class InvalidResource(InvalidBody):
    """The resource is not valid; details.issues lists every fault."""

    code = "invalid_resource"


class InvalidResourceIdentifier(CaracalError):
    """A resource identifier is an absolute URI, not provider: and without a user."""

    code = "invalid_resource_identifier"
    status = 400

    def __init__(self, message: str) -> None:
        super().__init__(_sentence(message), extra={"message": message})


class ResourceNotFound(CaracalError):
    """There is no such resource in this zone."""

    code = "resource_not_found"
    status = 404


class ResourceIdentifierConflict(CaracalError):
    """Another resource of the zone has this identifier."""

    code = "resource_identifier_conflict"
    status = 409


class ResourceQuotaExceeded(CaracalError):
    """The zone has as many resources as it may have."""

    code = "resource_quota_exceeded"
    status = 409


class ProtectedResource(CaracalError):
    """The control resource is kept by the platform."""

    code = "protected_resource"
    status = 409

    def __init__(self, detail: str) -> None:
        super().__init__(_sentence(detail), extra={"detail": detail})


class CredentialProviderRequired(CaracalError):
    """A resource needs a credential_provider_id; a provider of kind none will do."""

    code = "credential_provider_required"
    status = 400


class UpstreamUrlRequired(CaracalError):
    """A resource needs an upstream_url."""

    code = "upstream_url_required"
    status = 400


class GatewayApplicationRequired(CaracalError):
    """A resource needs a gateway_application_id: the application that fronts it."""

    code = "gateway_application_required"
    status = 400


class GatewayApplicationNotFound(CaracalError):
    """There is no such application in this zone to front the resource."""

    code = "gateway_application_not_found"
    status = 404


class GatewayApplicationMustBeManaged(CaracalError):
    """A self-registered application cannot front a resource."""

    code = "gateway_exchange_application_must_be_managed"
    status = 400


class OperationMethodAndPathRequired(CaracalError):
    """An operation needs a method and a path."""

    code = "operation_method_and_path_required"
    status = 400


class OperationPathMustBeAbsolute(CaracalError):
    """The path of an operation begins with a slash."""

    code = "operation_path_must_be_absolute"
    status = 400


class OperationScopeNotInResourceScopes(CaracalError):
    """The scope of an operation must be one of the resource's scopes."""

    code = "operation_scope_not_in_resource_scopes"
    status = 400


class OperationDuplicate(CaracalError):
    """A method and path are declared twice."""

    code = "operation_duplicate"
    status = 400


class InvalidAdminTokenRequest(InvalidBody):
    """The admin token asked for is not valid; details.issues lists every fault."""

    code = "invalid_admin_token_request"


class InvalidAdminTokenId(CaracalError):
    """The id has characters or a length no admin token's id has."""

    code = "invalid_admin_token_id"
    status = 400


class AdminTokenNotFound(CaracalError):
    """There is no such admin token, or it is revoked already."""

    code = "admin_token_not_found"
    status = 404


class ZoneIdRequired(CaracalError):
    """A token of scope zone needs a zone_id."""

    code = "zone_id_required"
    status = 400


class ZoneIdNotAllowedForGlobal(CaracalError):
    """A token of scope global takes no zone_id."""

    code = "zone_id_not_allowed_for_global"
    status = 400


class AdminTokenManagementRequiresGlobal(CaracalError):
    """Admin tokens are managed with a global admin token."""

    code = "admin_token_management_requires_global"
    status = 403


class AdminTokenManagementForbiddenForDerivedToken(CaracalError):
    """The console's own tokens cannot manage admin tokens."""

    code = "admin_token_management_forbidden_for_derived_token"
    status = 403
