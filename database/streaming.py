"""Results of any size in constant memory: one SELECT through a server-side cursor on a connection of its own."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from django.db import Error, connection

from database.errors import QueryTimeout, classify
from database.reading import Row, interrupt_at, with_time_limit
from database.watchdog import GRACE_S

SQLITE_CACHE_KB = 8192


class RowStream:
    """Rows of one SELECT, fetched in batches; all see the database of the moment at which the statement started.

    MySQL's DECIMAL columns come as text, exactly as the server prints them. ``close`` ends the query in the server.
    Used by one thread at a time, not necessarily always the same one.
    """

    def __init__(self, sql: str, params: Sequence[Any], seconds: int) -> None:
        self.seconds = seconds
        self.raw = open_connection(seconds)
        # Asked for now: mysqlclient answers no other thread while one is in `fetch`.
        self.server_id = self.raw.thread_id() if connection.vendor == "mysql" else 0
        try:
            with raising_timeouts(seconds):
                self.cursor = self.raw.cursor()
                self.cursor.execute(for_driver(with_time_limit(sql, seconds)), params)
        except BaseException:
            self.close()
            raise

    def fetch(self, size: int) -> Sequence[Row]:
        """The next ``size`` rows, fewer at the end, none after it. Raises `QueryTimeout` and Django's errors."""
        with raising_timeouts(self.seconds):
            return self.cursor.fetchmany(size)

    def close(self) -> None:
        # Never the cursor: MySQL's would first read the rest of the result. A closed connection ends the query.
        with suppress(Exception):
            self.raw.close()

    def interrupt(self) -> None:
        """End the query from another thread, also while one is waiting in `fetch` for a row that does not come."""
        if connection.vendor == "sqlite":
            self.raw.interrupt()
            return
        with suppress(Exception):
            other = open_connection(seconds=10)
            try:
                other.cursor().execute(f"KILL QUERY {self.server_id}")
            finally:
                other.close()


@contextmanager
def raising_timeouts(seconds: int) -> Iterator[None]:
    """The driver's errors as Django's, and those of the time limit as `QueryTimeout`."""
    try:
        with connection.wrap_database_errors:
            yield
    except Error as error:
        if classify(error) == "timeout":
            raise QueryTimeout(seconds) from error
        raise


def open_connection(seconds: int) -> Any:
    """A driver's connection to the default database, outside Django's own."""
    params = connection.get_connection_params()
    if connection.vendor == "mysql":
        from MySQLdb.constants import FIELD_TYPE
        from MySQLdb.cursors import SSCursor

        params |= {"cursorclass": SSCursor, "conv": {**params["conv"], FIELD_TYPE.NEWDECIMAL: str}}
        # For a server that has frozen; one that answers ends the statement itself.
        params |= {"read_timeout": seconds + GRACE_S}
    with connection.wrap_database_errors:
        raw = connection.get_new_connection(params)
    if connection.vendor == "sqlite":
        # A stream meets a page once: it needs little of the settings' page cache, and each would fill its own.
        raw.execute(f"PRAGMA cache_size = -{SQLITE_CACHE_KB}")
        interrupt_at(raw, time.monotonic() + seconds)
    return raw


def for_driver(sql: str) -> str:
    """Django's placeholders (%s) as the driver wants them."""
    return sql.replace("%s", "?") if connection.vendor == "sqlite" else sql
