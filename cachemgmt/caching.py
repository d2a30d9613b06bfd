"""Fetching an answer: from the store if it may be, else made by exactly one caller; changes that outdate answers."""

import gzip
import hashlib
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import partial

import structlog
from django.conf import settings
from django.db import Error as DatabaseError
from django.db import transaction

from cachemgmt.flights import Flights
from cachemgmt.generations import minutes_of
from cachemgmt.outage import Outage
from cachemgmt.stores import store
from cachemgmt.stores.base import LEASE_S, Reading
from cachemgmt.types import Begun, Entry, Key, Made, Served
from database.errors import QueryTimeout, classify

logger = structlog.get_logger(__name__)

GZIP_FROM_BYTES = 1000
GZIP_LEVEL = 6
LARGEST_BODY = 8 << 20  # larger ones would push out hundreds of others
POLL_S = (0.005, 0.05)  # between looks for another process's answer: shortest, longest

Make = Callable[[], Made]

flights = Flights()
outage = Outage()


def fetch(key: Key, make: Make) -> Served:
    """The answer under ``key``: kept, or made now, or the last good one if making fails because of the database.

    Of all callers in all processes one makes a missing answer, the others wait for it. An answer that has expired
    but still shows the data as they are is served while one caller makes it anew. Raises what ``make`` raises.
    """
    if not settings.CACHE_ENABLED:
        return Served(entry_of(key, replace(make(), ttl_s=0), Begun(0, 0, 0, None), 0.0), "bypass")
    arrival = reading = store().read(key)
    while True:
        if served := served_at_once(key, reading):
            return served
        flight, is_ours = flights.join(key.text)
        if is_ours:
            return flights.fly(key.text, flight, partial(fly, key, make))
        served = flight.result()
        if served is None:
            flights.forget(key.text, flight)
        elif served.has_failed or not is_older_than_seen(served.entry, key, arrival):
            return Served(served.entry, "hit" if served.state == "miss" else served.state, True, served.has_failed)
        # Otherwise it was begun before a change that we have seen; the next one will not have been.
        reading = store().read(key)


def served_at_once(key: Key, reading: Reading) -> Served | None:
    """What needs no work: a fresh answer; an expired one that another caller is at; a last good one in trouble."""
    if served := served_fresh(key, reading):
        return served
    if flights.is_flying(key.text) and (served := served_expired(key, reading)):
        return served
    last = served_last_good(reading.entry)
    return None if last is None or outage.is_my_turn() else last


def served_fresh(key: Key, reading: Reading) -> Served | None:
    entry = reading.entry
    return Served(entry, "hit") if entry and now_ms() < entry.fresh_until_ms and reading.is_valid(key) else None


def served_expired(key: Key, reading: Reading) -> Served | None:
    """An answer that is due to be made anew, but shows the data as they are."""
    entry = reading.entry
    if entry is None or now_ms() >= entry.fresh_until_ms + entry.ttl_ms or not reading.is_valid(key):
        return None
    return Served(entry, "stale")


def served_last_good(entry: Entry | None) -> Served | None:
    """An answer, expired or outdated, that may stand in while the database fails."""
    if entry is None or entry.status != 200:
        return None
    is_too_old = now_ms() >= entry.fresh_until_ms + settings.CACHE_STALE_SECONDS * 1000
    return None if is_too_old else Served(entry, "stale", has_failed=True)


def fly(key: Key, make: Make) -> Served:
    """Make the answer, unless another process is at it: then serve the expired one, or wait."""
    give_up_at = time.monotonic() + LEASE_S
    pause = POLL_S[0]
    while True:
        begun = store().begin(key)
        # In this order: whoever had the lease before may have kept the answer just now.
        reading = store().read(key)
        if served := served_fresh(key, reading):
            store().release(key, begun)
            return replace(served, is_coalesced=True)
        if begun.lease is not None or time.monotonic() > give_up_at:
            return make_and_keep(key, begun, reading.entry, make)
        if served := served_expired(key, reading):
            return served
        time.sleep(pause)
        pause = min(2 * pause, POLL_S[1])


def make_and_keep(key: Key, begun: Begun, last: Entry | None, make: Make) -> Served:
    started = time.perf_counter()
    try:
        made = make()
    except BaseException as error:
        store().release(key, begun)
        if isinstance(error, DatabaseError) and classify(error) == "gone":
            outage.begins()
        if isinstance(error, DatabaseError | QueryTimeout) and (served := served_last_good(last)):
            logger.warning("last good answer served", key=key.text, error=str(error))
            return served
        raise
    outage.ends()
    entry = entry_of(key, made, begun, (time.perf_counter() - started) * 1000)
    if made.ttl_s <= 0 or len(entry.body) > LARGEST_BODY:
        store().release(key, begun)
        return Served(entry, "bypass")
    # Errors that are kept for a moment are no last good answers.
    stale_s = settings.CACHE_STALE_SECONDS if made.status == 200 else 0
    store().save(key, entry, made.ttl_s * 2 + stale_s, begun)
    return Served(entry, "miss")


def entry_of(key: Key, made: Made, begun: Begun, cost_ms: float) -> Entry:
    # What is not kept is compressed on its way out, for clients that accept it.
    is_gzipped = len(made.body) >= GZIP_FROM_BYTES and made.ttl_s > 0
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
        scope=key.scope,
        first_ms=key.first_ms,
        last_ms=key.last_ms,
        query=key.query,
        # Once, here, and not for each client; mtime 0, so that equal bodies give equal bytes.
        body=gzip.compress(made.body, GZIP_LEVEL, mtime=0) if is_gzipped else made.body,
    )


def is_older_than_seen(entry: Entry, key: Key, seen: Reading) -> bool:
    """Whether the making of this answer began before a change that the caller could know of when it came."""
    return seen.generation is not None and not seen._replace(entry=entry).is_valid(key)


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def changed(scope_times_ms: Mapping[str, Iterable[int] | None]) -> None:
    """Data of these scopes have changed at these times (None: at any): what shows them is outdated everywhere.

    Takes effect when the transaction that changes them is committed.
    """
    changes = {scope: None if times is None else minutes_of(times) for scope, times in scope_times_ms.items()}
    if changes and settings.CACHE_ENABLED:
        transaction.on_commit(lambda: store().touch(changes))
