"""Rolling up what is stored, as far as it has changed.

Whoever changes 1m, 1h or 1d candles marks their stretch as stale in the same transaction. A mark is locked, its
stretch read and rolled up, and the mark removed in one transaction: a writer that comes in between waits for the
lock and marks the stretch anew. What is rolled up is written like any other candle, so an hour that has become complete
marks its day, and a day the months that it is in. Any number of workers may do this, and be killed at any moment.

Only whole candles are stored: one that lacks a part, or still runs, has no row until it is complete.
"""

from collections.abc import Iterator, Sequence

import structlog
from django.db import DataError, connection, transaction

from database.reading import Reader
from database.retrying import retry_when_busy
from marketdata.candles.models import StaleCandles
from marketdata.candles.queries import candles_select
from marketdata.candles.rolling import roll_up
from marketdata.candles.services import STRETCHES_MS, candles_store
from marketdata.timeframes import candle_close_ms, candle_open_ms
from marketdata.types import Candle

logger = structlog.get_logger(__name__)

# What each is rolled up from, a shorter one of the same level or the level's own: every step adds up few candles.
LEVELS: dict[str, dict[str, str]] = {
    "1m": {"3m": "1m", "5m": "1m", "15m": "5m", "30m": "15m", "1h": "30m"},
    "1h": {"2h": "1h", "4h": "2h", "6h": "2h", "8h": "4h", "12h": "6h", "1d": "12h"},
    "1d": {"3d": "1d", "1w": "1d", "1M": "1d"},
}
STRETCHES_AT_ONCE = 168  # in one transaction: a second at most, and a writer may be waiting
READ_SECONDS = 600  # a bound, not a limit that anybody should meet

# What the figures of one series may be at fault for; a database that is away is everybody's trouble.
UNBUILDABLE = (ValueError, ArithmeticError, DataError)

Series = tuple[str, str, str]  # venue, symbol, timeframe


def candles_build() -> int:
    """Roll up all that is stale; how many stretches there were. What cannot be rolled up is logged and stays stale."""
    built = 0
    for timeframe in LEVELS:
        # Level by level: each may leave work for the next.
        for venue, symbol in stale_symbols(timeframe):
            try:
                built += stretches_build(venue, symbol, timeframe)
            except UNBUILDABLE as error:
                # Times or sums that do not exist: no reason for others to wait.
                logger.error(f"candles cannot be rolled up: {error}", venue=venue, symbol=symbol, timeframe=timeframe)
    return built


def stale_symbols(timeframe: str) -> list[tuple[str, str]]:
    marks = StaleCandles.objects.filter(timeframe=timeframe).order_by("venue", "symbol")
    return list(marks.values_list("venue", "symbol").distinct())


def stretches_build(venue: str, symbol: str, timeframe: str) -> int:
    """Roll up every stale stretch that no other worker is at; how many there were."""
    built = 0
    while stretches := stretches_build_some((venue, symbol, timeframe)):
        built += stretches
    return built


@retry_when_busy
def stretches_build_some(series: Series) -> int:
    with transaction.atomic():
        stretches = stretches_claim(series)
        # Read and written after the claim, never before: what changes from here on is marked anew.
        candles_store(list(rolled_up(series, stretches)))
        marks_remove(series, stretches)
    return len(stretches)


def stretches_claim(series: Series) -> list[int]:
    """Lock some of the marks until the transaction ends."""
    marks = StaleCandles.objects.select_for_update(skip_locked=connection.features.has_select_for_update_skip_locked)
    venue, symbol, timeframe = series
    stale = marks.filter(venue=venue, symbol=symbol, timeframe=timeframe).order_by("open_ms")
    return list(stale.values_list("open_ms", flat=True)[:STRETCHES_AT_ONCE])


def marks_remove(series: Series, stretches: Sequence[int]) -> None:
    venue, symbol, timeframe = series
    StaleCandles.objects.filter(venue=venue, symbol=symbol, timeframe=timeframe, open_ms__in=stretches).delete()


def rolled_up(series: Series, stretches: Sequence[int]) -> Iterator[Candle]:
    """The whole candles that the stretches are part of."""
    venue, symbol, timeframe = series
    reader = Reader(READ_SECONDS)
    for start_ms, end_ms in windows(timeframe, stretches):
        candles = {timeframe: candles_select(reader, venue, symbol, timeframe, start_ms, end_ms)}
        for longer, shorter in LEVELS[timeframe].items():
            candles[longer] = roll_up(candles[shorter], longer)
            yield from (candle for candle in candles[longer] if candle.is_closed)


def windows(timeframe: str, stretches: Sequence[int]) -> list[tuple[int, int]]:
    """The time of all longer candles that the stretches, which rise, are part of."""
    joined: list[tuple[int, int]] = []
    for time_ms in stretches:
        longer_ones = LEVELS[timeframe]
        last_ms = time_ms + STRETCHES_MS[timeframe] - 1
        start_ms = min(candle_open_ms(longer, time_ms) for longer in longer_ones)
        end_ms = max(candle_close_ms(longer, candle_open_ms(longer, last_ms)) for longer in longer_ones)
        if joined and start_ms <= joined[-1][1]:
            joined[-1] = (min(joined[-1][0], start_ms), max(joined[-1][1], end_ms))
        else:
            joined.append((start_ms, end_ms))
    return joined
