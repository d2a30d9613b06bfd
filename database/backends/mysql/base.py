"""MySQL and MariaDB as django-prometheus has them, except that asking a frozen server "are you there?" has an end."""

import time

from django_prometheus.db.backends.mysql import base

from database.watchdog import watching

PING_SECONDS = 1


class DatabaseWrapper(base.DatabaseWrapper):
    def is_usable(self) -> bool:
        # Django asks this at the end of a request too, before its answer is sent, when an error has occurred.
        with watching(time.monotonic() + PING_SECONDS):
            return super().is_usable()
