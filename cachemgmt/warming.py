"""Making the answers that clients are going to ask for before they do: the apps' own, and the most requested ones."""

import itertools
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial

import msgspec
import structlog
from django.conf import settings
from django.db import Error as DatabaseError
from django.db import connection
from django.http import QueryDict
from rest_framework.exceptions import APIException

from cachemgmt.caching import make_and_keep, now_ms
from cachemgmt.popular import popular
from cachemgmt.registry import Asked, Namespace, WarmRequest, namespace_at, warmers
from cachemgmt.responses import made
from cachemgmt.stores import store
from cachemgmt.types import Entry
from database.errors import classify

logger = structlog.get_logger(__name__)

INTERVAL_S = 300  # between two runs by Celery's beat
DATABASE_SHARE = 0.25  # of the time, at the most, is a query of ours running
LEARNED = 50  # most requested queries that are warmed too
NOTE = "warming"
# A run that has not told its progress for so long has died. Taking a living one for dead does little harm: the second
# run finds what the first has made.
SILENT_S = 60


class Progress(msgspec.Struct):
    """How far a run is; the times are Unix ms."""

    started_ms: int
    told_ms: int
    total: int = 0
    done: int = 0
    made: int = 0
    failed: int = 0
    is_running: bool = True

    @property
    def seconds(self) -> float:
        return round((self.told_ms - self.started_ms) / 1000, 1)

    @property
    def is_alive(self) -> bool:
        return self.is_running and now_ms() - self.told_ms < SILENT_S * 1000


Watch = Callable[[Progress], object]


def warm(watch: Watch = lambda progress: None) -> Progress | None:
    """Make what is missing, expired or about to expire; None when another run is at it.

    ``watch`` is told after each request. A request that fails is logged and left out; a database that cannot be used
    ends the run.
    """
    progress = begin()
    if progress is None:
        return None
    try:
        requests = list(requests_now()) if settings.CACHE_ENABLED else []
        progress.total = len(requests)
        for namespace, asked in requests:
            warm_one(namespace, asked, progress)
            tell(progress)
            watch(progress)
    except DatabaseError as error:
        logger.error("warming left for later: the database cannot be used", error=str(error))
    finally:
        progress.is_running = False
        tell(progress)
    logger.info("cache warmed", made=progress.made, failed=progress.failed, seconds=progress.seconds)
    return progress


def begin() -> Progress | None:
    """The run that may begin now, or None. Of several that try at once, in whatever processes, one may."""
    last = latest()
    if last and last.is_alive:
        return None
    # Named after the run before, so that it can be had once after each.
    if not store().once(f"{NOTE}-after-{last.started_ms if last else 0}", SILENT_S):
        return None
    progress = Progress(now_ms(), now_ms())
    tell(progress)
    return progress


def tell(progress: Progress) -> None:
    progress.told_ms = now_ms()
    store().note(NOTE, msgspec.json.encode(progress))


def latest() -> Progress | None:
    """The run that is under way, or the last one."""
    noted = store().note(NOTE)
    return msgspec.json.decode(noted, type=Progress) if noted else None


def requests_now() -> Iterator[tuple[Namespace, Asked]]:
    """What is to be warmed, each once, validated."""
    registered = itertools.chain.from_iterable(warmer(now_ms()) for warmer in warmers)
    seen = set()
    for request in itertools.chain(registered, learned_requests()):
        try:
            asked = request.namespace.parameters.validated(dict(request.query))
        except APIException:
            # Learned from a version that took other parameters.
            continue
        text = request.namespace.key(asked).text
        if text not in seen:
            seen.add(text)
            yield request.namespace, asked


def learned_requests() -> Iterator[WarmRequest]:
    for path, query in popular(LEARNED):
        if namespace := namespace_at(path):
            yield WarmRequest(namespace, QueryDict(query).dict())


def warm_one(namespace: Namespace, asked: Asked, progress: Progress) -> None:
    """Make one answer if need be, and leave the database to others for a while. Raises if it cannot be used."""
    started = time.monotonic()
    try:
        is_made = refresh(namespace, asked)
        progress.made += is_made
    except Exception as error:
        if isinstance(error, DatabaseError) and classify(error) != "timeout":
            raise
        is_made = True
        progress.failed += 1
        logger.warning("not warmed", key=namespace.key(asked).text, error=str(error))
    progress.done += 1
    if is_made:
        time.sleep((time.monotonic() - started) * (1 / DATABASE_SHARE - 1))


def refresh(namespace: Namespace, asked: Asked) -> bool:
    """Make the answer unless it stays fresh for long enough or somebody is making it; whether it was made."""
    key = namespace.key(asked)
    reading = store().read(key)
    if reading.is_valid(key) and is_lasting(reading.entry):
        return False
    if namespace.ttl_s(asked) <= 0:
        return False
    begun = store().begin(key)
    if begun.lease is None:
        return False
    make_and_keep(key, begun, None, partial(made, namespace, asked))
    return True


def is_lasting(entry: Entry | None) -> bool:
    """Whether it stays fresh until the next run, or at least for half of its time."""
    return entry is not None and entry.fresh_until_ms - now_ms() >= min(INTERVAL_S * 1000, entry.ttl_ms / 2)


def warm_in_background() -> None:
    """`warm` in a thread of this process, which keeps no one waiting and ends with the process."""
    threading.Thread(target=warm_and_disconnect, name="warming", daemon=True).start()


def warm_and_disconnect() -> None:
    try:
        warm()
    finally:
        connection.close()
