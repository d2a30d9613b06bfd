"""Values that travel between the layers of the app; plain, immutable, without Django."""

from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import msgspec

MINUTE_MS = 60_000
# A key that depends on its scope's whole time: the newest orders, a list of symbols.
ALWAYS = (0, 1 << 53)

CacheState = Literal["hit", "miss", "stale", "bypass"]


@dataclass(frozen=True, slots=True)
class Key:
    """Where an answer is kept, and what makes it outdated: changes of ``scope`` within [first_ms, last_ms]."""

    namespace: str
    text: str  # unique over all namespaces, safe to print, no glob characters
    scope: str
    first_ms: int = ALWAYS[0]
    last_ms: int = ALWAYS[1]
    query: str = ""  # that leads here, for operators to read; others may, too


@dataclass(frozen=True, slots=True)
class Made:
    """An answer that has just been made; ``ttl_s`` is how long it stays fresh, 0 not to keep it."""

    status: int
    content_type: str
    body: bytes
    ttl_s: float


class Entry(msgspec.Struct, array_like=True, frozen=True):
    """An answer as it is kept."""

    status: int
    content_type: str
    etag: str  # weak and quoted: it stands for the plain bytes and for the compressed ones
    made_ms: int  # Unix ms; so is the next
    fresh_until_ms: int
    epoch: int  # of the store
    stamp: int  # of the scope's generation, taken before the answer was made
    cost_ms: float  # that making it took
    size: int  # bytes of the plain body
    is_gzipped: bool
    scope: str  # this and the next three are the key's, so that an answer can be judged by itself
    first_ms: int
    last_ms: int
    query: str
    body: bytes  # the last, so that the rest can be read without it

    @property
    def ttl_ms(self) -> int:
        return self.fresh_until_ms - self.made_ms


@dataclass(frozen=True, slots=True)
class Served:
    """What a caller is to be answered with, and where it came from."""

    entry: Entry
    state: CacheState
    is_coalesced: bool = False  # made by another caller, for whom this one has waited
    has_failed: bool = False  # stale, because making it anew has failed


class Begun(NamedTuple):
    """Permission to make an answer: the state of the world before, and the lease (None: somebody else holds it)."""

    epoch: int
    stamp: int
    clears: int  # how often operators have removed answers
    lease: str | None


class EntryInfo(NamedTuple):
    """One kept answer for operators: without its body."""

    key: str
    bytes: int  # as kept, that is, compressed
    ttl_s: float  # until it is removed


Figures = dict[str, Any]
