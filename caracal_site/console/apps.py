from django.contrib.admin.apps import AdminConfig


class ConsoleConfig(AdminConfig):
    """Django's admin with the platform's own site class as default."""

    default_site = "caracal_site.console.site.ConsoleSite"
