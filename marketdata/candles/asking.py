"""Asking the venue for candles: page by page, and never again for what it is known not to have."""

import time
from collections.abc import Callable, Hashable, Iterator
from functools import lru_cache
from threading import Lock
from typing import Any

from marketdata.candles.gaps import candle_count
from marketdata.errors import VenueRateLimited, VenueUnavailable
from marketdata.timeframes import candle_close_ms
from marketdata.types import Candle
from marketdata.venue import Venue, venue

PAGE = 1000  # candles a request: their weight is 5, and 10 beyond
AWAY_S = 3.0  # for which nobody waits again for a venue that does not answer
FRESH_S = 1.0  # for which the newest candles are not asked for again: terminals come in crowds
MOST_REMEMBERED = 10_000
MOST_FRESH = 100  # lists, each of up to `PAGE` candles; more than can be asked for in `FRESH_S`

Klines = Callable[..., list[Candle]]
Key = tuple[str, str]  # symbol, timeframe


class VenueCandles:
    """A venue, and what this process knows of its candles. Threads share it. Asking raises `LiquiError`."""

    def __init__(self, asked: Venue) -> None:
        self.venue = asked
        self.lock = Lock()
        self.away_until_s, self.reason = 0.0, ""
        self.begins: dict[Key, int] = {}  # nothing opens before
        self.holes: dict[tuple[Key, int, int], None] = {}
        self.fresh: dict[Hashable, tuple[float, list[Candle]]] = {}

    def klines(self, symbol: str, timeframe: str, **window: int) -> list[Candle]:
        """As the venue's. After one that did not answer it is left alone for a moment: its silence costs seconds."""
        if time.monotonic() < self.away_until_s:
            raise VenueUnavailable(self.reason)
        try:
            return self.venue.klines(symbol, timeframe, **window)
        except VenueRateLimited:
            raise
        except VenueUnavailable as error:
            self.away_until_s, self.reason = time.monotonic() + AWAY_S, str(error)
            raise

    def newest(self, key: Key, count: int) -> list[Candle]:
        """The newest candles, the running one included, not older than `FRESH_S`."""
        return self.lately(key, limit=count)

    def before(self, key: Key, end_ms: int, count: int, *, is_running: bool = False) -> list[Candle]:
        """The newest of those that open before ``end_ms``; where the last ``is_running``, not older than `FRESH_S`."""
        if end_ms <= self.begins.get(key, 0):
            return []
        window = {"end_ms": end_ms - 1, "limit": count}
        candles = self.lately(key, **window) if is_running else self.klines(*key, **window)
        if not candles:
            self.keep(self.begins, key, end_ms)
        return candles

    def lately(self, key: Key, **window: int) -> list[Candle]:
        """As `klines`, and kept for `FRESH_S`."""
        asked = key, *window.items()
        until_s, candles = self.fresh.get(asked, (0.0, []))
        if time.monotonic() < until_s:
            return candles
        candles = self.klines(*key, **window)
        self.keep(self.fresh, asked, (time.monotonic() + FRESH_S, candles), MOST_FRESH)
        return candles

    def lacks(self, key: Key, gap: range, *, may_be_beginning: bool) -> None:
        """It was asked for these, and does not have them."""
        if may_be_beginning and not self.before(key, gap.start, 1):
            self.keep(self.begins, key, gap.stop)
        else:
            self.keep(self.holes, (key, gap.start, gap.stop), None)

    def may_have(self, key: Key, gap: range) -> bool:
        return (key, gap.start, gap.stop) not in self.holes

    def keep(self, what: dict[Any, Any], key: Any, value: Any, most: int = MOST_REMEMBERED) -> None:
        with self.lock:
            if len(what) >= most:
                what.clear()
            what[key] = value


candles_of = lru_cache(maxsize=1)(VenueCandles)


def venue_candles() -> VenueCandles:
    """Of the venue that the settings name now: another one has other candles."""
    return candles_of(venue())


def klines_between(klines: Klines, symbol: str, timeframe: str, gap: range) -> Iterator[list[Candle]]:
    """What the venue has of a gap, page by page, by rising time."""
    start_ms = gap.start
    while start_ms < gap.stop:
        count = min(candle_count(timeframe, start_ms, gap.stop), PAGE)
        page = klines(symbol, timeframe, start_ms=start_ms, end_ms=gap.stop - 1, limit=count)
        yield page
        if len(page) < count or page[-1].open_ms < start_ms:
            return
        start_ms = candle_close_ms(timeframe, page[-1].open_ms)
