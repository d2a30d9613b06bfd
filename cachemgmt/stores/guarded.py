"""Redis while it is well, local memory while it is not; callers notice nothing but `Store.name`."""

import atexit
import threading
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import suppress
from typing import TypeVar

import msgspec
import structlog

from cachemgmt.stores.base import Changes, Page, Reading
from cachemgmt.stores.breaker import Breaker
from cachemgmt.stores.memory import MemoryStore
from cachemgmt.stores.redis import RedisStore
from cachemgmt.types import Begun, Entry, EntryInfo, Figures, Key
from database.redis import FAILURES

logger = structlog.get_logger(__name__)

# Local copies are not told what other processes change: they are fresh for so long at the most.
FALLBACK_FRESH_MS = 5000
MAX_PENDING = 1000

T = TypeVar("T")


class GuardedStore:
    """Changes that could not be told to Redis are told when it is back, before its answers are used again."""

    def __init__(self, server: RedisStore, memory: MemoryStore) -> None:
        self.server, self.memory = server, memory
        self.breaker = Breaker(server.name, self.mend)
        self.lock = threading.Lock()
        self.pending: dict[str, set[int] | None] = {}
        self.has_lost_changes = False
        atexit.register(self.part)

    @property
    def name(self) -> str:
        return f"{self.memory.name} ({self.trouble})" if self.is_down else self.server.name

    @property
    def trouble(self) -> str:
        return f"{self.server.name} {self.breaker.reason}" if self.is_down else ""

    @property
    def is_down(self) -> bool:
        return self.breaker.is_open

    def attempt(self, work: Callable[[], T], otherwise: Callable[[], T]) -> T:
        if not self.breaker.is_open:
            try:
                return work()
            except FAILURES as error:
                self.breaker.open(error)
        return otherwise()

    def read(self, key: Key) -> Reading:
        return self.attempt(lambda: self.server.read(key), lambda: self.memory.read(key))

    def begin(self, key: Key) -> Begun:
        return self.attempt(lambda: self.server.begin(key), lambda: self.memory.begin(key))

    def save(self, key: Key, entry: Entry, keep_s: float, begun: Begun) -> None:
        self.attempt(
            lambda: self.server.save(key, entry, keep_s, begun),
            lambda: self.memory.save(key, shortened(entry), keep_s, begun),
        )

    def release(self, key: Key, begun: Begun) -> None:
        self.attempt(lambda: self.server.release(key, begun), lambda: self.memory.release(key, begun))

    def touch(self, changes: Changes) -> None:
        self.memory.touch(changes)
        self.attempt(lambda: self.server.touch(changes), lambda: self.remember(changes))
        if self.pending and not self.is_down:
            # Remembered at the very moment at which Redis came back.
            self.attempt(self.catch_up, lambda: None)

    def renew(self) -> None:
        self.memory.renew()
        self.attempt(self.server.renew, self.lose)

    def lose(self) -> None:
        self.has_lost_changes = True

    def remember(self, changes: Changes) -> None:
        with self.lock:
            for scope, minutes in changes.items():
                self.pending[scope] = union(self.pending.get(scope, set()), minutes)
            if len(self.pending) > MAX_PENDING:
                self.pending.clear()
                self.has_lost_changes = True

    def mend(self) -> None:
        """Make Redis usable again; raises its errors while it is not."""
        # First, because a server that is full takes this though it takes nothing else, and others still read from it.
        self.catch_up()
        self.server.probe()
        self.memory.forget()

    def catch_up(self) -> None:
        """Tell Redis what has changed while it was away; raises its errors, and then nothing is forgotten."""
        with self.lock:
            changes, self.pending = self.pending, {}
            has_lost, self.has_lost_changes = self.has_lost_changes, False
        try:
            if has_lost:
                self.server.renew()
            elif changes:
                self.server.touch(changes)
        except BaseException:
            self.has_lost_changes |= has_lost
            self.remember(changes)
            raise

    def part(self) -> None:
        """The process ends: a last attempt to tell Redis what it does not know yet."""
        if not self.pending and not self.has_lost_changes:
            return
        try:
            self.catch_up()
        except FAILURES:
            logger.error(f"{self.server.name} could not be told what has changed: when it is back, clear the cache")

    def clear(self, pattern: str) -> int:
        self.memory.clear(pattern)
        # Also while the breaker is open: a server that is full is cured by this.
        try:
            return self.server.clear(pattern)
        except FAILURES as error:
            self.breaker.open(error)
            self.lose()
            # What this process has kept meanwhile is not the number that is asked for.
            return 0

    def entries(self, pattern: str) -> Iterator[EntryInfo]:
        # As they come: there may be millions, and callers may want a few.
        if not self.is_down:
            try:
                yield from self.server.entries(pattern)
                return
            except FAILURES as error:
                self.breaker.open(error)
        yield from self.memory.entries(pattern)

    def page(self, pattern: str, cursor: str = "") -> Page:
        return self.attempt(lambda: self.server.page(pattern, cursor), lambda: self.memory.page(pattern, cursor))

    def retry(self) -> bool:
        if self.is_down:
            with suppress(*FAILURES):
                self.breaker.try_again()
        return not self.is_down

    def learn(self, requests: Mapping[str, int]) -> None:
        self.attempt(lambda: self.server.learn(requests), lambda: self.memory.learn(requests))

    def learned(self, count: int) -> list[tuple[str, int]]:
        return self.attempt(lambda: self.server.learned(count), lambda: self.memory.learned(count))

    def once(self, name: str, seconds: float) -> bool:
        return self.attempt(lambda: self.server.once(name, seconds), lambda: self.memory.once(name, seconds))

    def note(self, name: str, value: bytes | None = None, seconds: float = 86400) -> bytes | None:
        return self.attempt(
            lambda: self.server.note(name, value, seconds), lambda: self.memory.note(name, value, seconds)
        )

    def figures(self) -> Figures:
        # Not through `attempt`: a server that does not permit INFO is well enough for everything else.
        try:
            return {"available": False, "error": "Cache not available"} if self.is_down else self.server.figures()
        except FAILURES as error:
            return {"available": False, "error": str(error)}


def union(one: set[int] | None, other: Collection[int] | None) -> set[int] | None:
    return None if one is None or other is None else one | set(other)


def shortened(entry: Entry) -> Entry:
    until_ms = min(entry.fresh_until_ms, entry.made_ms + FALLBACK_FRESH_MS)
    return msgspec.structs.replace(entry, fresh_until_ms=until_ms)
