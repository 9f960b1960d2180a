from django.apps import AppConfig


class KernelConfig(AppConfig):
    name = "caracal_site"
    verbose_name = "platform"

    def ready(self) -> None:
        from caracal_site import checks  # noqa: F401
