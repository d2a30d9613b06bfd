"""What the tests of stores share: keys, entries, and an answer that is made and kept."""

import time

from cachemgmt.stores.base import Store
from cachemgmt.types import MINUTE_MS, Begun, Entry, Key

MINUTE = 28_401_120  # a minute of 2024


def key(name: str = "1", scope: str = "symbol:BTCUSDT", first: int = MINUTE, last: int = MINUTE + 59) -> Key:
    """A key under ``test:`` whose answer depends on these minutes, both included."""
    return Key("test", f"test:{name}", scope, first * MINUTE_MS, last * MINUTE_MS + MINUTE_MS - 1)


def entry(begun: Begun, body: bytes = b"[]", fresh_s: float = 60, made_ms: int | None = None) -> Entry:
    made_ms = time.time_ns() // 1_000_000 if made_ms is None else made_ms
    return Entry(
        status=200,
        content_type="application/json",
        etag='W/"1"',
        made_ms=made_ms,
        fresh_until_ms=made_ms + int(fresh_s * 1000),
        epoch=begun.epoch,
        stamp=begun.stamp,
        cost_ms=1.5,
        size=len(body),
        is_gzipped=False,
        scope="symbol:BTCUSDT",
        first_ms=MINUTE * MINUTE_MS,
        last_ms=(MINUTE + 60) * MINUTE_MS - 1,
        query="",
        body=body,
    )


def keep(store: Store, kept: Key, body: bytes = b"[]", keep_s: float = 60) -> Entry:
    """Make and keep an answer as the one caller that holds the lease would."""
    begun = store.begin(kept)
    made = entry(begun, body)
    store.save(kept, made, keep_s, begun)
    return made


def is_valid(store: Store, kept: Key) -> bool:
    return store.read(kept).is_valid(kept)
