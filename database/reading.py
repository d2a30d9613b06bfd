"""Reading with a time limit that the server enforces, and from one snapshot where several statements must agree."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from django.db import Error, connection

from database import slow
from database.errors import QueryTimeout, classify
from database.watchdog import watching

Row = tuple[Any, ...]
# SQLite calls the progress handler after so many virtual machine steps, a fraction of a millisecond.
SQLITE_STEPS = 10_000
SNAPSHOT_SECONDS = 3  # to open or end one, which is the work of a moment


class Reader:
    """Runs SELECTs that together may take ``seconds``; raises `QueryTimeout` when the server has ended one."""

    def __init__(self, seconds: int) -> None:
        self.seconds = seconds
        self.deadline = time.monotonic() + seconds

    def rows(self, sql: str, params: Sequence[Any] = ()) -> list[Row]:
        """All rows of one SELECT."""
        began, is_ended = time.monotonic(), False
        remaining = max(self.deadline - began, 0.001)
        try:
            with connection.cursor() as cursor:
                # Here and not when the snapshot opens: the cursor is what connects.
                limit_sqlite(self.deadline)
                cursor.execute(with_time_limit(sql, remaining), params)
                return list(cursor.fetchall())
        except Error as error:
            if is_ended := classify(error) == "timeout":
                raise QueryTimeout(self.seconds) from error
            raise
        finally:
            limit_sqlite(None)
            slow.note(sql, params, time.monotonic() - began, is_ended=is_ended)

    def value(self, sql: str, params: Sequence[Any] = ()) -> Any:
        """The first column of the only row."""
        return self.rows(sql, params)[0][0]


@contextmanager
def reading(seconds: int) -> Iterator[Reader]:
    """A `Reader` for single statements: each sees the database as it is when it starts."""
    reader = Reader(seconds)
    with watching(reader.deadline):
        yield reader


@contextmanager
def reading_snapshot(seconds: int) -> Iterator[Reader]:
    """A `Reader` whose statements all see the database of one moment."""
    if connection.in_atomic_block:
        with reading(seconds) as reader:
            yield reader
        return
    begin_snapshot()
    try:
        with reading(seconds) as reader:
            yield reader
    except BaseException:
        end_snapshot("ROLLBACK")
        raise
    end_snapshot("COMMIT")


def begin_snapshot() -> None:
    with watching(time.monotonic() + SNAPSHOT_SECONDS), connection.cursor() as cursor:
        if connection.vendor == "mysql":
            # For the next transaction only; writers stay at READ COMMITTED.
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            cursor.execute("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY")
        else:
            # Deferred, whatever the writers' mode is: a reader must neither wait for a writer nor hold one up.
            cursor.execute("BEGIN DEFERRED")


def end_snapshot(how: str) -> None:
    try:
        with watching(time.monotonic() + SNAPSHOT_SECONDS), connection.cursor() as cursor:
            cursor.execute(how)
    except Error:
        # The connection is lost, and with it the transaction; the next request opens another one.
        with suppress(Error):
            connection.close()


def with_time_limit(sql: str, seconds: float) -> str:
    """The SELECT with a time limit for MySQL (an optimizer hint) and MariaDB (a comment that only it executes)."""
    if connection.vendor != "mysql":
        return sql
    statement = sql.removeprefix("SELECT ")
    if statement == sql:
        raise ValueError(f"only a SELECT can have a time limit, not {sql[:40]!r}")
    return (
        f"/*M!100100 SET STATEMENT max_statement_time={seconds:.3f} FOR */ "
        f"SELECT /*+ MAX_EXECUTION_TIME({int(seconds * 1000) or 1}) */ {statement}"
    )


def limit_sqlite(deadline: float | None) -> None:
    """Make SQLite give up at ``deadline`` (monotonic seconds), or never again when it is None."""
    if connection.vendor == "sqlite" and connection.connection is not None:
        interrupt_at(connection.connection, deadline)


def interrupt_at(sqlite_connection: Any, deadline: float | None) -> None:
    handler = None if deadline is None else lambda: time.monotonic() > deadline
    sqlite_connection.set_progress_handler(handler, SQLITE_STEPS)
