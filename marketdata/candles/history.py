"""The candles of a symbol up to now: what the table has, and what the venue has where that has holes.

Synchronous: sockets ask in a thread. What the time is, the venue says by its newest candle: a replayed or hastened
exchange has a time of its own.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import pairwise

import structlog
from django.conf import settings
from django.db import Error as DatabaseError

from marketdata.candles.asking import PAGE, VenueCandles, klines_between, venue_candles
from marketdata.candles.gaps import candle_count, first_open_ms, gaps_find, gaps_joined
from marketdata.candles.queries import candles_last
from marketdata.candles.rolling import roll_up
from marketdata.candles.services import candle_upsert
from marketdata.errors import LiquiError, UnknownSymbol
from marketdata.timeframes import DAY_MS, HOUR_MS, MINUTE_MS, TIMEFRAMES, candle_close_ms, candle_open_ms
from marketdata.timeframes import candle_shifted_ms as shifted_ms
from marketdata.types import Candle
from marketdata.venues.binance import VENUE

logger = structlog.get_logger(__name__)

# The venue may begin its three days on other days than we do.
ROLLED, ROLLED_FROM, DAYS_ROLLED = "3d", "1d", 3
CHEAP = 99  # candles, for the least weight that a request has
ASKED_FEEDS = ("live", "simulated")  # a replay has streams alone
SEEDS_MS = {"1d": DAY_MS, "1h": HOUR_MS, "1m": MINUTE_MS}


def candle_history(symbol: str, timeframe: str, limit: int, end_ms: int | None = None) -> list[Candle]:
    """The newest ``limit`` candles by rising time, the running one included; or of those that open before ``end_ms``.

    Where the venue cannot be asked, what is stored, but nothing from before a hole that it may have candles of; raises
    `LiquiError` when that is nothing.
    """
    return told(Asked(symbol, timeframe, limit, end_ms).answer())


def candles_between(symbol: str, timeframe: str, start_ms: int, end_ms: int, limit: int | None = None) -> list[Candle]:
    """The candles that open in [start_ms, end_ms) by rising time, the newest ``limit`` at most; as `candle_history`."""
    count = candle_count(timeframe, start_ms, end_ms)
    count = count if limit is None else min(count, limit)
    return told(Asked(symbol, timeframe, count, end_ms, start_ms).answer()) if count > 0 else []


def running_parts(symbol: str, timeframe: str, open_ms: int, until_ms: int) -> list[Candle]:
    """Candles shorter than ``timeframe`` that cover [open_ms, until_ms) by as few as may be: days, hours, minutes.

    The venue is asked three times at most. Raises `LiquiError` when it cannot be asked and not all are stored.
    """
    parts: list[Candle] = []
    for seed, start_ms, end_ms in seed_windows(timeframe, open_ms, until_ms):
        count = candle_count(seed, start_ms, end_ms)
        answer = Asked(symbol, seed, count, end_ms, start_ms).answer()
        if answer.trouble and len(answer.candles) < count:
            raise answer.trouble
        parts += answer.candles
    return parts


def seed_windows(timeframe: str, open_ms: int, until_ms: int) -> list[tuple[str, int, int]]:
    """The time in whole days, then hours, then minutes, all shorter than the timeframe."""
    shorter = [seed for seed in SEEDS_MS if TIMEFRAMES.index(seed) < TIMEFRAMES.index(timeframe)]
    bounds = [open_ms, *(max(until_ms - until_ms % SEEDS_MS[seed], open_ms) for seed in shorter)]
    windows = zip(shorter, pairwise(bounds), strict=True)
    return [(seed, start_ms, end_ms) for seed, (start_ms, end_ms) in windows if start_ms < end_ms]


@dataclass(frozen=True, slots=True)
class Answer:
    """``trouble``: why the venue could not be asked, where it had to be."""

    candles: list[Candle]
    trouble: LiquiError | None = None


def told(answer: Answer) -> list[Candle]:
    if answer.trouble and not answer.candles:
        raise answer.trouble
    return answer.candles


def may_have_more(trouble: LiquiError) -> bool:
    """Whether anybody has what is not stored: not of a symbol that is not listed, nor where no venue answers."""
    return settings.LIQUI_FEED in ASKED_FEEDS and not isinstance(trouble, UnknownSymbol)


@dataclass(slots=True)
class Asked:
    """The newest ``limit`` candles that open in [start_ms, end_ms), and how they are found."""

    symbol: str
    timeframe: str
    limit: int
    end_ms: int | None = None
    start_ms: int = 0
    found: dict[int, Candle] = field(default_factory=dict)  # by their opening
    fetched: list[Candle] = field(default_factory=list)  # of these, what is not stored yet

    @property
    def key(self) -> tuple[str, str]:
        return self.symbol, self.timeframe

    def answer(self) -> Answer:
        if self.timeframe == ROLLED:
            return self.rolled()
        self.read(self.end_ms)
        venue, trouble = venue_candles(), None
        try:
            self.complete(venue)
        except LiquiError as error:
            trouble = error
        self.store()
        if trouble and may_have_more(trouble):
            self.forget_before_unasked(venue)
        opens = sorted(open_ms for open_ms in self.found if open_ms >= self.start_ms)[-self.limit :]
        return Answer([self.found[open_ms] for open_ms in opens], trouble)

    def rolled(self) -> Answer:
        """From days, of which the first three may be incomplete: they are beyond the limit then."""
        end_ms = None if self.end_ms is None else candle_close_ms(ROLLED, candle_open_ms(ROLLED, self.end_ms - 1))
        start_ms = first_open_ms(ROLLED, self.start_ms)
        answer = Asked(self.symbol, ROLLED_FROM, DAYS_ROLLED * self.limit, end_ms, start_ms).answer()
        days = answer.candles
        if answer.trouble and days:
            # What may be had is not all there: the first three may be incomplete within the limit as well.
            first_ms = first_open_ms(ROLLED, days[0].open_ms)
            days = [day for day in days if day.open_ms >= first_ms]
        return Answer(roll_up(days, ROLLED)[-self.limit :], answer.trouble)

    def read(self, end_ms: int | None) -> None:
        stored = candles_last(VENUE, self.symbol, self.timeframe, self.limit, end_ms, self.start_ms)
        self.found = {candle.open_ms: candle for candle in stored if candle.is_closed}

    def complete(self, venue: VenueCandles) -> None:
        last_ms = self.last_open(venue)
        if last_ms is None:
            return
        earliest_ms = max(first_open_ms(self.timeframe, self.start_ms), venue.begins.get(self.key, 0))
        window = range(max(shifted_ms(self.timeframe, last_ms, 1 - self.limit), earliest_ms), last_ms + 1)
        missing = [gap for gap in self.gaps(window) if venue.may_have(self.key, gap)]
        # The newest first: they are certain when the venue wants no more requests.
        for gap in reversed(gaps_joined(self.timeframe, missing, PAGE)):
            for page in klines_between(venue.klines, self.symbol, self.timeframe, gap):
                self.take(page)
            for hole in self.gaps(gap):
                venue.lacks(self.key, hole, may_be_beginning=hole.start == window.start)

    def forget_before_unasked(self, venue: VenueCandles) -> None:
        """The two sides of a hole that the venue may have candles of must not look like neighbours."""
        opens = sorted(self.found)
        if not opens:
            return
        start_ms = max(opens[0], venue.begins.get(self.key, 0))
        holes = gaps_find(self.timeframe, start_ms, self.neighbour_ms() or opens[-1], opens)
        certain_ms = max((hole.stop for hole in holes if venue.may_have(self.key, hole)), default=0)
        self.found = {open_ms: candle for open_ms, candle in self.found.items() if open_ms >= certain_ms}

    def neighbour_ms(self) -> int | None:
        """Where a chart that scrolls back draws these beside what it has: the end, if there is anything behind it."""
        if self.end_ms is None:
            return None
        return self.end_ms if candles_last(VENUE, self.symbol, self.timeframe, 1, None, self.end_ms) else None

    def last_open(self, venue: VenueCandles) -> int | None:
        """When the last candle opens that is asked for and exists; the venue's newest are found on the way."""
        if self.end_ms is not None and candle_open_ms(self.timeframe, self.end_ms - 1) in self.found:
            return max(self.found)
        # Nearly all are stored, or nearly none.
        count = min(self.limit, PAGE if 2 * len(self.found) < self.limit else CHEAP)
        newest = venue.newest(self.key, count) if self.end_ms is None else self.before(venue, self.end_ms, count)
        if newest and self.found and max(self.found) > newest[-1].open_ms:
            # Another run of a replayed market had come further.
            self.read(candle_close_ms(self.timeframe, newest[-1].open_ms))
        self.take(newest)
        return max(self.found, default=None)

    def before(self, venue: VenueCandles, end_ms: int, count: int) -> list[Candle]:
        open_ms = candle_open_ms(self.timeframe, end_ms)
        if open_ms == end_ms:
            return venue.before(self.key, end_ms, count)
        # Up to now, as charts ask again and again: for all times within a candle the answer is the same.
        return venue.before(self.key, open_ms + 1, count, is_running=True)

    def gaps(self, window: range) -> list[range]:
        opens = sorted(open_ms for open_ms in self.found if open_ms in window)
        return gaps_find(self.timeframe, window.start, window.stop, opens)

    def take(self, candles: Iterable[Candle]) -> None:
        for candle in candles:
            stored = self.found.get(candle.open_ms)
            if stored is None or not stored.is_closed:
                self.found[candle.open_ms] = candle
                self.fetched.append(candle)

    def store(self) -> None:
        try:
            candle_upsert([candle for candle in self.fetched if candle.is_closed])
        except DatabaseError as error:
            # The answer is as good without.
            logger.warning(f"candles could not be stored: {error}", symbol=self.symbol, timeframe=self.timeframe)
