from django.apps import AppConfig
from django.contrib.admin import apps


class ConsoleConfig(AppConfig):
    name = "console"
    default = True

    def ready(self) -> None:
        from console.slow_queries import writer
        from database import slow

        slow.listeners.append(writer.wake)


class ConsoleAdminConfig(apps.AdminConfig):
    """Django's admin, with our site in its place."""

    default = False
    default_site = "console.site.ConsoleSite"
