"""Refusals of the Management API before any resource is touched."""

from __future__ import annotations

from caracal_site.errors import CaracalError


class InvalidAdminToken(CaracalError):
    """A valid admin token is needed: Authorization: Bearer <token>."""

    code = "invalid_admin_token"
    status = 401

    def __init__(self) -> None:
        super().__init__(headers={"WWW-Authenticate": 'Bearer realm="caracal"'})


class InvalidAccountAssertion(CaracalError):
    """X-Caracal-Account or X-Caracal-Operator is malformed, expired, good for too long,
    for another request, or not signed with the admin token of this installation."""

    code = "invalid_account_assertion"
    status = 401

    def __init__(self) -> None:
        super().__init__(headers={"WWW-Authenticate": 'Bearer realm="caracal"'})


class ZoneForbidden(CaracalError):
    """The zone is not one of the account this request is made for."""

    code = "zone_forbidden"
    status = 403


class AdminTokenReadOnly(CaracalError):
    """This admin token may only read."""

    code = "admin_token_read_only"
    status = 403


class AdminTokenZoneMismatch(CaracalError):
    """This admin token is for another zone."""

    code = "admin_token_zone_mismatch"
    status = 403


class SystemZoneReadOnly(CaracalError):
    """The platform's own zones are changed by the platform alone."""

    code = "system_zone_read_only"
    status = 403


class MalformedRequest(CaracalError):
    """The request is not well-formed, or names a host that is not served here."""

    code = "bad_request"
    status = 400


class Forbidden(CaracalError):
    """The person signed in may not do this."""

    code = "forbidden"
    status = 403


class SignInRefused(CaracalError):
    """The name and password are not those of a person who may use the console."""

    code = "sign_in_refused"
    status = 401


class CsrfFailed(CaracalError):
    """The form was not sent from this console, or its session has ended; try again."""

    code = "csrf_failed"
    status = 403
