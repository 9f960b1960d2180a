"""The verbs of zones and what lives in them: the only writers."""

from zones.services.admin_tokens import (
    MintedToken,
    find_usable,
    mark_used,
    mint_admin_token,
    require_token_manager,
    revoke_admin_token,
    seed_bootstrap,
)
from zones.services.applications import (
    ApplicationFields,
    IssuedApplication,
    archive_application,
    archive_expired_applications,
    change_application,
    create_application,
    digest_of,
    register_application,
    rotate_client_secret,
    verify_client_secret,
)
from zones.services.bindings import application_bound_to
from zones.services.holding import (
    hold_gateway_application,
    hold_provider,
    hold_zone,
    lock_zone,
)
from zones.services.provider_connection import ConnectionTest, check_connection
from zones.services.provider_secrets import reseal_providers
from zones.services.providers import (
    ProviderFields,
    archive_provider,
    change_provider,
    create_provider,
)
from zones.services.resources import (
    ResourceFields,
    archive_resource,
    change_resource,
    create_resource,
    is_control,
    preview_archive,
)
from zones.services.zones import (
    DcrStatus,
    ZoneFields,
    archive_zone,
    change_zone,
    create_zone,
    dcr_status,
)

__all__ = [
    "ApplicationFields",
    "ConnectionTest",
    "DcrStatus",
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
    "find_usable",
    "hold_gateway_application",
    "hold_provider",
    "hold_zone",
    "is_control",
    "lock_zone",
    "mark_used",
    "mint_admin_token",
    "preview_archive",
    "register_application",
    "require_token_manager",
    "reseal_providers",
    "revoke_admin_token",
    "rotate_client_secret",
    "seed_bootstrap",
    "verify_client_secret",
]
