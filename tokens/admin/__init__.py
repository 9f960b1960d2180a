"""Authority sessions, approvals and signing keys in the console."""

from tokens.admin.approvals import StepUpChallengeAdmin
from tokens.admin.keys import SigningKeyAdmin
from tokens.admin.sessions import SessionAdmin

__all__ = ["SessionAdmin", "SigningKeyAdmin", "StepUpChallengeAdmin"]
