"""Zones and what lives in them, in the console."""

from zones.admin.applications import ApplicationAdmin
from zones.admin.providers import ProviderAdmin
from zones.admin.resources import ResourceAdmin
from zones.admin.tokens import AdminTokenAdmin
from zones.admin.zones import ZoneAdmin

__all__ = [
    "AdminTokenAdmin",
    "ApplicationAdmin",
    "ProviderAdmin",
    "ResourceAdmin",
    "ZoneAdmin",
]
