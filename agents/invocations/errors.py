"""Facts about invocations, as refusals."""

from __future__ import annotations

import math

from caracal_site.errors import CaracalError


class CallSessionNotFound(CaracalError):
    """The source and target sessions must be live agents of this zone."""

    code = "agent_session_not_found"
    status = 404


class InvokerOwnershipRequired(CaracalError):
    """The caller is no such party of the call, nor has coordinator.invoke_from: one."""

    code = "invoker_ownership_required"
    status = 403


class InvocationNotFound(CaracalError):
    """There is no such invocation in this zone."""

    code = "invocation_not_found"
    status = 404


class InvocationNotStartable(CaracalError):
    """Only a pending call, or a failed one with attempts left, can be started."""

    code = "invocation_not_startable"
    status = 409

    @classmethod
    def before(cls, seconds: float) -> InvocationNotStartable:
        """The next attempt has to wait."""
        wait = max(1, math.ceil(seconds))
        return cls(
            f"The next attempt may start in {wait} s.",
            headers={"Retry-After": str(wait)},
        )


class InvocationNotCancelable(CaracalError):
    """Only a call that is pending or runs can be canceled."""

    code = "invocation_not_cancelable"
    status = 409


class InvocationNotCompletable(CaracalError):
    """Only a call that runs can be completed; as canceled, only when that was asked."""

    code = "invocation_not_completable"
    status = 409


class AttemptSuperseded(CaracalError):
    """Another attempt runs by now: what this one found does not count."""

    code = "invocation_attempt_superseded"
    status = 409
