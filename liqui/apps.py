from django.apps import AppConfig


class LiquiConfig(AppConfig):
    name = "liqui"
    verbose_name = "liqui"

    def ready(self) -> None:
        # Imported for what importing does: checks and signal receivers register themselves, and `shared_task`
        # binds to our Celery app in every process that may send one.
        from cachemgmt.hits import gates
        from liqui import access, celery, checks, limits, metrics  # noqa: F401

        gates.append(access.gate)
        if limits.rate() is not None:
            gates.append(limits.gate)
