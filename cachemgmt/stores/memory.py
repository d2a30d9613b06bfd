"""Answers in this process's memory: all there is when embedded, and the fallback while Redis is away."""

import heapq
import itertools
import re
import threading
import time
from collections import Counter, OrderedDict
from collections.abc import Iterator, Mapping
from typing import Protocol

import msgspec

from cachemgmt.generations import Generation
from cachemgmt.stores.base import LEASE_S, PAGE, Changes, Look, Page, Reading
from cachemgmt.types import Begun, Entry, EntryInfo, Figures, Key

ENTRY_OVERHEAD = 500  # bytes beside the body: the key, the objects
LEARNED_KEPT = 1000
GENERATIONS_KEPT = 10_000


class ChangeLog(Protocol):
    """Carries changes between the processes that keep answers in memory of their own."""

    def add(self, changes: Changes | None, pattern: str | None = None) -> None:
        """Tell the others: these data have changed (None: all), or answers under ``pattern`` are to be removed."""
        ...

    def news(self) -> Iterator[tuple[Changes | None, str | None]]:
        """What others have added since; asks at most a few dozen times a second."""
        ...


class MemoryStore:
    """At most ``max_bytes`` of answers, those unused for longest going first. Threads may share it."""

    name = "local memory"
    trouble = ""

    def __init__(self, max_bytes: int, log: ChangeLog | None = None) -> None:
        self.max_bytes, self.log = max_bytes, log
        self.lock = threading.RLock()
        self.tokens = itertools.count()
        self.popular: Counter[str] = Counter()
        self.asked: dict[str, float] = {}
        self.notes: dict[str, tuple[bytes, float]] = {}
        self.hits = self.misses = 0
        self.forget()

    def forget(self) -> None:
        """Hold nothing."""
        with self.lock:
            self.kept: OrderedDict[str, tuple[Entry, float]] = OrderedDict()  # with the time of removal, monotonic
            self.generations: OrderedDict[str, Generation] = OrderedDict()
            self.leases: dict[str, tuple[str, float]] = {}
            self.bytes, self.epoch, self.clears = 0, time.monotonic_ns(), 0

    def read(self, key: Key) -> Reading:
        self.hear()
        with self.lock:
            entry, until = self.kept.get(key.text, (None, 0.0))
            if entry is not None and until < time.monotonic():
                self.drop(key.text)
                entry = None
            if entry is None:
                self.misses += 1
            else:
                self.hits += 1
                self.kept.move_to_end(key.text)
            generation = self.generations.get(key.scope)
            # A copy: it is looked at outside the lock.
            return Reading(entry, generation and generation.copy(), self.epoch)

    def begin(self, key: Key) -> Begun:
        self.hear()
        with self.lock:
            generation = self.generations.get(key.scope)
            if generation is None:
                # From the clock: never below what was handed out before an earlier one was forgotten.
                now = time.monotonic_ns()
                generation = self.generations[key.scope] = Generation(now, now)
                if len(self.generations) > GENERATIONS_KEPT:
                    self.generations.popitem(last=False)
            self.generations.move_to_end(key.scope)
            _, until = self.leases.get(key.text, ("", 0.0))
            token = None
            if until < time.monotonic():
                token = str(next(self.tokens))
                self.leases[key.text] = token, time.monotonic() + LEASE_S
            return Begun(self.epoch, generation.begin(), self.clears, token)

    def save(self, key: Key, entry: Entry, keep_s: float, begun: Begun) -> None:
        with self.lock:
            self.release(key, begun)
            if self.clears != begun.clears or weight(entry) > self.max_bytes:
                return
            self.drop(key.text)
            self.kept[key.text] = entry, time.monotonic() + keep_s
            self.bytes += weight(entry)
            while self.bytes > self.max_bytes:
                self.drop(next(iter(self.kept)))

    def drop(self, text: str) -> None:
        if found := self.kept.pop(text, None):
            self.bytes -= weight(found[0])

    def release(self, key: Key, begun: Begun) -> None:
        with self.lock:
            if begun.lease is not None and self.leases.get(key.text, ("", 0.0))[0] == begun.lease:
                del self.leases[key.text]

    def touch(self, changes: Changes) -> None:
        if self.log:
            self.log.add(changes)
        self.apply(changes)

    def apply(self, changes: Changes | None) -> None:
        with self.lock:
            if changes is None:
                self.epoch = time.monotonic_ns()
                return
            for scope, minutes in changes.items():
                if generation := self.generations.get(scope):
                    generation.touch(minutes)

    def renew(self) -> None:
        if self.log:
            self.log.add(None)
        self.apply(None)

    def clear(self, pattern: str) -> int:
        if self.log:
            self.log.add({}, pattern)
        return self.remove(pattern)

    def remove(self, pattern: str) -> int:
        with self.lock:
            self.clears += 1
            matching = self.matching(pattern)
            for text in matching:
                self.drop(text)
            return len(matching)

    def matching(self, pattern: str) -> list[str]:
        matches, now = glob_regex(pattern).fullmatch, time.monotonic()
        return [text for text, (_, until) in self.kept.items() if until >= now and matches(text)]

    def hear(self) -> None:
        """Apply what other processes have changed."""
        if self.log is None:
            return
        for changes, pattern in self.log.news():
            if pattern is not None:
                self.remove(pattern)
            else:
                self.apply(changes)

    def entries(self, pattern: str) -> Iterator[EntryInfo]:
        self.hear()
        with self.lock:
            now = time.monotonic()
            found = [(text, *self.kept[text]) for text in self.matching(pattern)]
        return (EntryInfo(text, weight(entry), until - now) for text, entry, until in found)

    def page(self, pattern: str, cursor: str = "") -> Page:
        """In the order of the keys, so that no page repeats another's."""
        self.hear()
        with self.lock:
            texts = heapq.nsmallest(PAGE + 1, (text for text in self.matching(pattern) if text > cursor))
            shown = texts[:PAGE]
            return Page([self.look(text) for text in shown], shown[-1] if len(texts) > PAGE else "")

    def look(self, text: str) -> Look:
        entry, until = self.kept[text]
        generation = self.generations.get(entry.scope)
        reading = Reading(msgspec.structs.replace(entry, body=b""), generation and generation.copy(), self.epoch)
        return Look(EntryInfo(text, weight(entry), until - time.monotonic()), reading)

    def retry(self) -> bool:
        return True

    def learn(self, requests: Mapping[str, int]) -> None:
        with self.lock:
            self.popular.update(requests)
            if len(self.popular) > LEARNED_KEPT:
                # Halved, so that what was popular once gives way in time.
                self.popular = Counter({name: n // 2 for name, n in self.popular.most_common(LEARNED_KEPT // 2)})

    def learned(self, count: int) -> list[tuple[str, int]]:
        with self.lock:
            return self.popular.most_common(count)

    def once(self, name: str, seconds: float) -> bool:
        with self.lock:
            now = time.monotonic()
            if self.asked.get(name, 0.0) > now:
                return False
            self.asked = {asked: until for asked, until in self.asked.items() if until > now} | {name: now + seconds}
            return True

    def note(self, name: str, value: bytes | None = None, seconds: float = 86400) -> bytes | None:
        with self.lock:
            if value is not None:
                self.notes[name] = value, time.monotonic() + seconds
            noted, until = self.notes.get(name, (None, 0.0))
            return noted if time.monotonic() < until else None

    def figures(self) -> Figures:
        with self.lock:
            lookups = self.hits + self.misses
            return {
                "available": True,
                "connected_clients": 1,
                "used_memory": self.bytes,
                "used_memory_human": f"{self.bytes / 1024:.2f}K",
                "keyspace_hits": self.hits,
                "keyspace_misses": self.misses,
                "total_commands_processed": lookups,
                "hit_rate": round(100 * self.hits / lookups, 2) if lookups else 0,
            }


def weight(entry: Entry) -> int:
    return len(entry.body) + ENTRY_OVERHEAD


def glob_regex(pattern: str) -> re.Pattern[str]:
    """Redis' glob as a regular expression: * ? [abc] [^a] [a-c] and backslash."""
    segments, at = [""], 0  # what stands between the stars
    while at < len(pattern):
        character = pattern[at]
        at += 1
        if character == "*":
            segments.append("")
        elif character == "?":
            segments[-1] += "."
        elif character == "[":
            part, at = bracket_regex(pattern, at)
            segments[-1] += part
        elif character == "\\" and at < len(pattern):
            segments[-1] += re.escape(pattern[at])
            at += 1
        else:
            segments[-1] += re.escape(character)
    return re.compile(segments_regex(segments), re.DOTALL)


def segments_regex(segments: list[str]) -> str:
    # Each is taken where it fits first, for good: other places would not help those after it, and trying all of them
    # could take years.
    first, *rest = segments
    if not rest:
        return first
    return first + "".join(f"(?>.*?{segment})" for segment in rest[:-1] if segment) + f".*{rest[-1]}"


def bracket_regex(pattern: str, at: int) -> tuple[str, int]:
    """What stands in brackets from ``at`` on, and where it ends; read as Redis reads it, odd cases included."""
    is_negated = pattern.startswith("^", at)
    at += is_negated
    members = []
    while at < len(pattern) and pattern[at] != "]":
        if pattern[at] == "\\" and at + 1 < len(pattern):
            at += 1
            members.append(re.escape(pattern[at]))
        elif pattern.startswith("-", at + 1) and at + 2 < len(pattern):
            members.append("-".join(re.escape(end) for end in sorted((pattern[at], pattern[at + 2]))))
            at += 2
        else:
            members.append(re.escape(pattern[at]))
        at += 1
    if not members:
        return "." if is_negated else "(?!)", at + 1
    return f"[{'^' if is_negated else ''}{''.join(members)}]", at + 1
