"""Facts about delegation, as refusals."""

from __future__ import annotations

from caracal_site.errors import CaracalError


class InvalidConstraint(CaracalError):
    """The delegation constraints are not an object of known members."""

    code = "invalid_delegation_constraint"
    status = 400

    @classmethod
    def member(cls, name: str, sentence: str) -> InvalidConstraint:
        """The refusal of one member: ``invalid_<name>``."""
        error = cls(sentence)
        error.code = f"invalid_{name}"  # type: ignore[misc]
        return error


class ExpiryRequired(CaracalError):
    """A delegation needs an end: expires_at or ttl_seconds, there or in constraints."""

    code = "delegation_expiry_required"
    status = 400


class Expired(CaracalError):
    """The delegation would already be over."""

    code = "delegation_expired"
    status = 400


class SelfDelegation(CaracalError):
    """A session cannot delegate to itself."""

    code = "self_delegation_denied"
    status = 400


class IssuerOwnershipRequired(CaracalError):
    """The caller neither is the issuer nor holds coordinator.delegate_from: it."""

    code = "issuer_ownership_required"
    status = 403


class ReceiverConsentRequired(CaracalError):
    """Delegating to another application needs coordinator.delegate_to: it."""

    code = "receiver_consent_required"
    status = 403


class BroadPermissionRequired(CaracalError):
    """A delegation without a resource needs coordinator.delegate_broad."""

    code = "broad_delegation_permission_required"
    status = 403


class EndpointNotFound(CaracalError):
    """Source and target must both be live agents of this zone."""

    code = "delegation_endpoint_not_found"
    status = 404


class ApplicationMismatch(CaracalError):
    """The issuer must run the source agent and the receiver the target agent."""

    code = "delegation_application_mismatch"
    status = 409


class ResourceNotFound(CaracalError):
    """There is no such resource in this zone."""

    code = "resource_not_found"
    status = 404


class ResourceScopeMismatch(CaracalError):
    """resource_id is not among constraints.resources."""

    code = "delegation_resource_scope_mismatch"
    status = 400


class ResourceOwnershipRequired(CaracalError):
    """The issuer does not own every resource: its gateway binding names another."""

    code = "resource_ownership_required"
    status = 403


class ScopesExceedResource(CaracalError):
    """A scope is not declared by any of the delegated resources."""

    code = "delegation_scopes_exceed_resource"
    status = 403


class ParentNotActive(CaracalError):
    """parent_edge_id does not name a live edge into the source."""

    code = "parent_delegation_not_active"
    status = 403


class ParentAmbiguous(CaracalError):
    """Several live edges lead into the source; name the parent_edge_id."""

    code = "parent_delegation_ambiguous"
    status = 409


class ExceedsParentAuthority(CaracalError):
    """The delegation would be wider than the authority it comes from."""

    code = "delegation_exceeds_parent_authority"
    status = 403


class CycleDenied(CaracalError):
    """The source can be reached from the target already."""

    code = "delegation_cycle_denied"
    status = 409


class DelegationNotFound(CaracalError):
    """There is no such live delegation in this zone."""

    code = "delegation_not_found"
    status = 404
