from django.apps import AppConfig


class LiquiConfig(AppConfig):
    name = "liqui"
    verbose_name = "liqui"

    def ready(self) -> None:
        # Imported for what importing does: checks and signal receivers register themselves, and `shared_task`
        # binds to our Celery app in every process that may send one.
        from liqui import celery, checks, metrics  # noqa: F401
