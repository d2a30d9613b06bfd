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
# A row may become visible a little after one with a higher id.
OVERLAP = 64

# More, or another table than before: not looked at one by one.
MOST_AT_ONCE = 500
EVERYTHING: tuple[Changes | None, str | None] = (None, None)


class DatabaseChanges:
    """Adds and reads rows of `CacheChange`. A database that is away changes nothing, and so nothing is missed."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.newest: int | None = None  # id up to which everything has been read, but for stragglers
        self.known: set[int] = set()  # ids of the last rows, our own among them
        self.next_look = 0.0

    def add(self, changes: Changes | None, pattern: str | None = None) -> None:
        plain = (
            None
            if changes is None
            else {scope: None if minutes is None else sorted(minutes) for scope, minutes in changes.items()}
        )
        try:
            row = CacheChange.objects.create(changes=plain, pattern=pattern)
            self.known.add(row.pk)
            if row.pk % PRUNE_EVERY == 0:
                CacheChange.objects.filter(pk__lte=row.pk - KEPT).delete()
        except Error as error:
            logger.warning("other processes may serve cached answers until they expire", error=str(error))

    def news(self) -> Iterator[tuple[Changes | None, str | None]]:
        # One thread looks; the others go on with what is known.
        if time.monotonic() < self.next_look or not self.lock.acquire(blocking=False):
            return
        try:
            found = self.look()
            self.next_look = time.monotonic() + INTERVAL_S
        except (Error, QueryTimeout):
            found = []
            self.next_look = time.monotonic() + AWAY_INTERVAL_S
            if not connection.in_atomic_block:
                # Hits see nothing of a request's beginning and end, where Django would part with what is broken.
                connection.close()
        finally:
            self.lock.release()
        yield from found

    def look(self) -> list[tuple[Changes | None, str | None]]:
        if connection.in_atomic_block and connection.vendor == "mysql":
            # An old snapshot shows nothing new.
            return []
        before, known = self.newest, self.known
        changes: list[tuple[Changes | None, str | None]] = []
        with reading(READ_SECONDS) as reader:
            since = max((before or 0) - OVERLAP, 0)
            ids = {pk for (pk,) in reader.rows("SELECT id FROM cache_changes WHERE id > %s", [since])}
            newest, new = max(ids, default=0), ids - known
            if before is not None and newest < before:
                known, changes = set(), [EVERYTHING]
            elif before is not None and len(new) > MOST_AT_ONCE:
                changes = [EVERYTHING]
            elif before is not None and new:
                rows = CacheChange.objects.filter(pk__in=new).order_by("pk")
                changes = list(rows.values_list("changes", "pattern"))
        # Not before all that may fail.
        self.newest, self.known = newest, {pk for pk in ids | known if newest - OVERLAP < pk}
        return changes
