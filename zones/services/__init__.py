"""The verbs of zones and what lives in them: the only writers."""

from zones.services.admin_tokens import (
    MintedToken,
    mint_admin_token,
    require_token_manager,
    revoke_admin_token,
)
from zones.services.applications import (
    ApplicationFields,
    IssuedApplication,
    archive_application,
    archive_expired_applications,
    change_application,
    create_application,
    digest_of,
    preview_application_archive,
    register_application,
    rotate_client_secret,
    verify_client_secret,
)
from zones.services.bindings import application_bound_to
from zones.services.callers import (
    Caller,
    find_caller,
    mark_used,
    may_be_in_force,
    note_use,
    token_digest,
)
from zones.services.configured_tokens import keep_configured, seed_bootstrap
from zones.services.ending import Ended, foresee_applications, foresee_zone
from zones.services.holding import (
    hold_gateway_application,
    hold_provider,
    hold_zone,
    lock_zone,
    permitted,
)
from zones.services.provider_connection import ConnectionTest, check_connection
from zones.services.provider_secrets import reseal_providers
from zones.services.providers import (
    ProviderFields,
    archive_provider,
    change_provider,
    create_provider,
    preview_provider_archive,
)
from zones.services.resources import (
    ResourceFields,
    archive_resource,
    change_resource,
    create_resource,
    foresee_resource,
    is_control,
    preview_resource_archive,
)
from zones.services.zones import (
    DcrStatus,
    ZoneFields,
    archive_zone,
    change_zone,
    create_zone,
    dcr_status,
    preview_zone_archive,
)

__all__ = [
    "ApplicationFields",
    "Caller",
    "ConnectionTest",
    "DcrStatus",
    "Ended",
    "IssuedApplication",
    "MintedToken",
    "ProviderFields",
    "ResourceFields",
    "ZoneFields",
    "application_bound_to",
    "archive_application",
    "archive_expired_applications",
    "archive_provider",
    "archive_resource",
    "archive_zone",
    "change_application",
    "change_provider",
    "change_resource",
    "change_zone",
    "check_connection",
    "create_application",
    "create_provider",
    "create_resource",
    "create_zone",
    "dcr_status",
    "digest_of",
    "find_caller",
    "foresee_applications",
    "foresee_resource",
    "foresee_zone",
    "hold_gateway_application",
    "hold_provider",
    "hold_zone",
    "is_control",
    "keep_configured",
    "lock_zone",
    "mark_used",
    "may_be_in_force",
    "mint_admin_token",
    "note_use",
    "permitted",
    "preview_application_archive",
    "preview_provider_archive",
    "preview_resource_archive",
    "preview_zone_archive",
    "register_application",
    "require_token_manager",
    "reseal_providers",
    "revoke_admin_token",
    "rotate_client_secret",
    "seed_bootstrap",
    "token_digest",
    "verify_client_secret",
]
