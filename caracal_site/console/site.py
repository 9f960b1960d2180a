"""The admin console's site."""

from __future__ import annotations

from django.contrib.admin import AdminSite


class ConsoleSite(AdminSite):
    """The human console of the platform."""

    site_header = "Caracal"
    site_title = "Caracal console"
    index_title = "Control plane"
    enable_nav_sidebar = True
