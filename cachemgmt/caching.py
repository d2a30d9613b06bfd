"""Fetching an answer: from the store if it may be, else made by exactly one caller; changes that outdate answers."""

import gzip
import hashlib
import time
from collections.abc import Callable, Iterable, Mapping
from functools import partial

import structlog
from django.conf import settings
from django.db import Error as DatabaseError
from django.db import transaction

from cachemgmt.flights import Flights
from cachemgmt.generations import minutes_of
from cachemgmt.stores import store
from cachemgmt.stores.base import LEASE_S, Reading
from cachemgmt.types import Begun, Entry, Key, Made, Served
from database.errors import QueryTimeout, classify

logger = structlog.get_logger(__name__)

GZIP_FROM_BYTES = 1000
GZIP_LEVEL = 6
LARGEST_BODY = 8 << 20  # larger ones would push out hundreds of others
POLL_S = (0.005, 0.05)  # between looks for another process's answer: shortest, longest
# After the database has failed, last good answers are served for so long before one caller tries again.
RETRY_DATABASE_S = 1.0

Make = Callable[[], Made]

flights = Flights()
database_failed_at = float("-inf")


def fetch(key: Key, make: Make) -> Served:
    """The answer under ``key``: kept, or made now, or the last good one if making fails because of the database.

    Of all callers in all processes one makes a missing answer, the others wait for it. An answer that has expired
    but still shows the data as they are is served while one caller makes it anew. Raises what ``make`` raises.
    """
    if not settings.CACHE_ENABLED:
        return Served(entry_of(make(), Begun(0, 0, 0, None), 0.0), "bypass")
    while True:
        reading = store().read(key)
        if served := served_at_once(key, reading):
            return served
        flight, is_ours = flights.join(key.text)
        if is_ours:
            return flights.fly(key.text, flight, partial(fly, key, reading, make))
        served = flight.result()
        # A change that we have seen may have come after the flight had begun to read.
        if not is_older_than_seen(served.entry, key, reading):
            return Served(served.entry, "hit" if served.state == "miss" else served.state, True, served.has_failed)


def served_at_once(key: Key, reading: Reading) -> Served | None:
    """What needs no work: a fresh answer; an expired one that another caller is at; a last good one in trouble."""
    entry, now = reading.entry, now_ms()
    if entry is None:
        return None
    if reading.is_valid(key):
        if now < entry.fresh_until_ms:
            return Served(entry, "hit")
        if now < entry.fresh_until_ms + entry.ttl_ms and flights.is_flying(key.text):
            return Served(entry, "stale")
    if time.monotonic() - database_failed_at < RETRY_DATABASE_S and is_last_good(entry, now):
        return Served(entry, "stale", has_failed=True)
    return None


def fly(key: Key, reading: Reading, make: Make) -> Served:
    """Make the answer, unless another process is at it: then serve the expired one, or wait."""
    give_up_at = time.monotonic() + LEASE_S
    pause = POLL_S[0]
    while True:
        begun = store().begin(key)
        if begun.lease is not None or time.monotonic() > give_up_at:
            return make_and_keep(key, begun, reading.entry, make)
        entry = reading.entry
        if entry and reading.is_valid(key) and now_ms() < entry.fresh_until_ms + entry.ttl_ms:
            return Served(entry, "stale")
        time.sleep(pause)
        pause = min(2 * pause, POLL_S[1])
        reading = store().read(key)
        if reading.entry and reading.is_valid(key) and now_ms() < reading.entry.fresh_until_ms:
            return Served(reading.entry, "hit", is_coalesced=True)


def make_and_keep(key: Key, begun: Begun, last: Entry | None, make: Make) -> Served:
    global database_failed_at
    started = time.perf_counter()
    try:
        made = make()
    except BaseException as error:
        store().release(key, begun)
        if isinstance(error, DatabaseError) and classify(error) == "gone":
            database_failed_at = time.monotonic()
        if isinstance(error, DatabaseError | QueryTimeout) and last and is_last_good(last, now_ms()):
            logger.warning("last good answer served", key=key.text, error=str(error))
            return Served(last, "stale", has_failed=True)
        raise
    entry = entry_of(made, begun, (time.perf_counter() - started) * 1000)
    if made.ttl_s <= 0 or len(entry.body) > LARGEST_BODY:
        store().release(key, begun)
        return Served(entry, "bypass")
    # Errors that are kept for a moment are no last good answers.
    stale_s = settings.CACHE_STALE_SECONDS if made.status == 200 else 0
    store().save(key, entry, made.ttl_s * 2 + stale_s, begun)
    return Served(entry, "miss")


def entry_of(made: Made, begun: Begun, cost_ms: float) -> Entry:
    is_gzipped = len(made.body) >= GZIP_FROM_BYTES
    now = now_ms()
    return Entry(
        status=made.status,
        content_type=made.content_type,
        etag=f'W/"{hashlib.blake2b(made.body, digest_size=12).hexdigest()}"',
        made_ms=now,
        fresh_until_ms=now + int(made.ttl_s * 1000),
        epoch=begun.epoch,
        stamp=begun.stamp,
        cost_ms=round(cost_ms, 3),
        size=len(made.body),
        is_gzipped=is_gzipped,
        # Once, here, and not for each client; mtime 0, so that equal bodies give equal bytes.
        body=gzip.compress(made.body, GZIP_LEVEL, mtime=0) if is_gzipped else made.body,
    )


def is_last_good(entry: Entry, now: int) -> bool:
    """Whether this answer, though expired or outdated, may stand in while the database fails."""
    return entry.status == 200 and now < entry.fresh_until_ms + settings.CACHE_STALE_SECONDS * 1000


def is_older_than_seen(entry: Entry, key: Key, reading: Reading) -> bool:
    seen = reading._replace(entry=entry)
    return reading.generation is not None and entry.epoch == reading.epoch and not seen.is_valid(key)


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def changed(scope_times_ms: Mapping[str, Iterable[int] | None]) -> None:
    """Data of these scopes have changed at these times (None: at any): what shows them is outdated everywhere.

    Takes effect when the transaction that changes them is committed.
    """
    changes = {scope: None if times is None else minutes_of(list(times)) for scope, times in scope_times_ms.items()}
    if changes and settings.CACHE_ENABLED:
        transaction.on_commit(lambda: store().touch(changes))
