"""What a store can do."""

from collections.abc import Collection, Iterator, Mapping
from typing import NamedTuple, Protocol

from cachemgmt.generations import Generation
from cachemgmt.types import MINUTE_MS, Begun, Entry, EntryInfo, Figures, Key

# Scope → minutes since 1970 whose data have changed, or None for all.
Changes = Mapping[str, Collection[int] | None]

# How long others wait for a caller that has begun to make an answer and may have died. A query that takes longer
# loses nothing but its exclusiveness.
LEASE_S = 10
PAGE = 50


class Reading(NamedTuple):
    """One look into the store, all of one moment."""

    entry: Entry | None
    generation: Generation | None  # None: unknown, so nothing can be said of an answer's validity
    epoch: int | None

    def is_valid(self, key: Key) -> bool:
        """Whether the entry, fresh or not, shows the data as they are."""
        entry, generation = self.entry, self.generation
        return (
            entry is not None
            and generation is not None
            and entry.epoch == self.epoch
            and not generation.is_outdated(entry.stamp, key.first_ms // MINUTE_MS, key.last_ms // MINUTE_MS)
        )


class Look(NamedTuple):
    """A kept answer as operators see it: without its body, and without an entry if another version has written it."""

    info: EntryInfo
    reading: Reading


class Page(NamedTuple):
    """Some of the kept answers. ``cursor`` is where the next page begins; empty: nowhere."""

    looks: list[Look]
    cursor: str


class Store(Protocol):
    """Keeps answers. No method raises because of trouble with a server: whatever happens, callers get an answer."""

    @property
    def name(self) -> str:
        """What it is, for people."""
        ...

    @property
    def trouble(self) -> str:
        """What is wrong with the server, so that callers are served from local memory; empty while all is well."""
        ...

    def read(self, key: Key) -> Reading:
        """One round trip."""
        ...

    def begin(self, key: Key) -> Begun:
        """Take the lease on making this answer, if it is free, and the stamp that the answer will carry."""
        ...

    def save(self, key: Key, entry: Entry, keep_s: float, begun: Begun) -> None:
        """Keep the answer unless operators have removed answers since ``begun``; the lease ends."""
        ...

    def release(self, key: Key, begun: Begun) -> None:
        """Give the lease back without an answer."""
        ...

    def touch(self, changes: Changes) -> None:
        """Outdate what depends on these data, in all processes. Constant work for each scope."""
        ...

    def renew(self) -> None:
        """Outdate everything at once."""
        ...

    def clear(self, pattern: str) -> int:
        """Remove the answers whose keys match the glob; how many there were."""
        ...

    def entries(self, pattern: str) -> Iterator[EntryInfo]:
        """The kept answers whose keys match the glob, in no order."""
        ...

    def page(self, pattern: str, cursor: str = "") -> Page:
        """About `PAGE` of the answers whose keys match the glob, and where to go on. A short look: it may have found
        few or none yet, and still not be at the end. A cursor that nobody has given out begins anew."""
        ...

    def retry(self) -> bool:
        """Try a server that is in trouble now, instead of after the next pause; whether it is used."""
        ...

    def learn(self, requests: Mapping[str, int]) -> None:
        """Add to how often each request was made today."""
        ...

    def learned(self, count: int) -> list[tuple[str, int]]:
        """The most frequent requests of the last day, and how often they were made."""
        ...

    def once(self, name: str, seconds: float) -> bool:
        """Whether nobody else has asked for ``name`` in the last ``seconds``; whoever asks first is told so."""
        ...

    def note(self, name: str, value: bytes | None = None, seconds: float = 86400) -> bytes | None:
        """Leave a short text for all processes, or read the one that was left."""
        ...

    def figures(self) -> Figures:
        """The contract's eight figures, or ``available: False`` with an error."""
        ...
