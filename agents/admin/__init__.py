"""Agents, their services and invocations in the console."""

from agents.admin.calls import AgentServiceAdmin, InvocationAdmin
from agents.admin.sessions import AgentSessionAdmin

__all__ = ["AgentServiceAdmin", "AgentSessionAdmin", "InvocationAdmin"]
