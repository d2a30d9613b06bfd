"""The change log of processes without Redis: a small table, so that a second shell's commands reach the server too."""

import threading
import time
from collections.abc import Iterator

import structlog
from django.db import Error, connection

from cachemgmt.models import CacheChange
from cachemgmt.stores.base import Changes
from database.errors import QueryTimeout
from database.reading import reading

logger = structlog.get_logger(__name__)

INTERVAL_S = 0.02  # between looks: an invalidation is to be seen by every process within 50 ms
AWAY_INTERVAL_S = 1.0
READ_SECONDS = 1
KEPT = 10_000
PRUNE_EVERY = 1000


class DatabaseChanges:
    """Adds and reads rows of `CacheChange`. A database that is away changes nothing, and so nothing is missed."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.own: set[int] = set()
        self.seen: int | None = None
        self.next_look = 0.0

    def add(self, changes: Changes | None, pattern: str | None = None) -> None:
        plain = (
            None
            if changes is None
            else {scope: None if minutes is None else sorted(minutes) for scope, minutes in changes.items()}
        )
        try:
            row = CacheChange.objects.create(changes=plain, pattern=pattern)
        except Error as error:
            logger.warning("other processes may serve cached answers until they expire", error=str(error))
            return
        self.own.add(row.pk)
        if row.pk % PRUNE_EVERY == 0:
            CacheChange.objects.filter(pk__lte=row.pk - KEPT).delete()

    def news(self) -> Iterator[tuple[Changes | None, str | None]]:
        # One thread looks; the others go on with what is known.
        if time.monotonic() < self.next_look or not self.lock.acquire(blocking=False):
            return
        try:
            rows = self.look()
            self.next_look = time.monotonic() + INTERVAL_S
        except (Error, QueryTimeout):
            rows = []
            self.next_look = time.monotonic() + AWAY_INTERVAL_S
        finally:
            self.lock.release()
        yield from rows

    def look(self) -> list[tuple[Changes | None, str | None]]:
        if connection.in_atomic_block and connection.vendor == "mysql":
            # An old snapshot shows nothing new.
            return []
        with reading(READ_SECONDS) as reader:
            if self.seen is None:
                self.seen = reader.value("SELECT COALESCE(MAX(id), 0) FROM cache_changes")
                return []
            found = reader.rows("SELECT id FROM cache_changes WHERE id > %s", [self.seen])
        if not found:
            return []
        rows = list(CacheChange.objects.filter(pk__gt=self.seen).order_by("pk"))
        if not rows:
            return []
        has_gap = rows[0].pk > self.seen + KEPT
        self.seen = rows[-1].pk
        others = [row for row in rows if row.pk not in self.own]
        self.own -= {row.pk for row in rows}
        return [(None, None)] if has_gap else [(row.changes, row.pattern) for row in others]
