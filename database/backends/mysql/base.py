"""MySQL and MariaDB as django-prometheus has them, except that the watchdog knows each connection's socket, and that
asking a frozen server "are you there?" has an end."""

import time
from typing import Any

from django_prometheus.db.backends.mysql import base

from database.watchdog import watchdog, watching

PING_SECONDS = 1


class DatabaseWrapper(base.DatabaseWrapper):
    def is_usable(self) -> bool:
        # Django asks this at the end of a request too, before its answer is sent, when an error has occurred.
        with watching(time.monotonic() + PING_SECONDS):
            return super().is_usable()

    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        raw = super().get_new_connection(conn_params)
        watchdog.note(raw)
        return raw

    def close(self) -> None:
        if self.connection is not None:
            watchdog.forget(self.connection)
        super().close()
