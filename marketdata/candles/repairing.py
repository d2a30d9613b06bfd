"""Filling what is missing or marked as wrong among the 1m candles of symbols that are followed, from the venue's."""

from collections.abc import Iterable
from dataclasses import dataclass

import structlog

from marketdata.candles.asking import PAGE, klines_between, venue_candles
from marketdata.candles.gaps import gaps_joined
from marketdata.candles.models import CandleToRepair
from marketdata.candles.queries import candle_gaps, symbols_followed
from marketdata.candles.services import candle_upsert, candles_unmark
from marketdata.errors import UnknownSymbol, VenuePayloadError
from marketdata.timeframes import DAY_MS, MINUTE_MS
from marketdata.venue import venue
from marketdata.venues.binance import VENUE

logger = structlog.get_logger(__name__)

TIMEFRAME = "1m"
LOOK_BACK_MS = DAY_MS


@dataclass(frozen=True, slots=True)
class Repair:
    """Minutes that were missing or marked, and candles that were stored in their place."""

    minutes: int
    stored: int


def candles_repair(
    symbol: str | None = None, start_ms: int | None = None, end_ms: int | None = None, look_back_ms: int = LOOK_BACK_MS
) -> Repair:
    """Repair what is marked, and holes in [start_ms, end_ms): of all symbols followed lately, as far as one looks back,
    or of one.

    What the venue lacks stays a hole, and is not asked for again by this process. Raises `LiquiError` when the venue
    cannot be asked; safe to run twice.
    """
    followed = {name: window for (place, name), window in symbols_followed(look_back_ms).items() if place == VENUE}
    symbols = sorted(followed.keys() | symbols_marked()) if symbol is None else [symbol]
    repairs = [symbol_repair(name, bounded(followed.get(name, range(0)), start_ms, end_ms)) for name in symbols]
    return Repair(sum(each.minutes for each in repairs), sum(each.stored for each in repairs))


def symbols_marked() -> set[str]:
    return set(CandleToRepair.objects.filter(venue=VENUE).order_by().values_list("symbol", flat=True).distinct())


def bounded(window: range, start_ms: int | None, end_ms: int | None) -> range:
    return range(window.start if start_ms is None else start_ms, window.stop if end_ms is None else end_ms)


def symbol_repair(symbol: str, window: range) -> Repair:
    known, key = venue_candles(), (symbol, TIMEFRAME)
    holes = [gap for gap in holes_of(symbol, window) if known.may_have(key, gap)]
    minutes = sorted(
        {*marks_of(symbol), *(open_ms for gap in holes for open_ms in range(gap.start, gap.stop, MINUTE_MS))}
    )
    try:
        stored = sum(gap_repair(symbol, gap) for gap in gaps_joined(TIMEFRAME, runs(minutes), PAGE))
    except UnknownSymbol as error:
        # Delisted since: nobody will ever have these.
        logger.warning(f"candles cannot be repaired: {error}", symbol=symbol, minutes=len(minutes))
        candles_unmark(VENUE, symbol, minutes[0], minutes[-1] + MINUTE_MS)
        stored = 0
    except VenuePayloadError as error:
        # An answer that says something about this symbol alone; other symbols need not wait for it.
        logger.error(f"candles cannot be repaired now: {error}", symbol=symbol, minutes=len(minutes))
        return Repair(len(minutes), 0)
    for gap in holes_of(symbol, window) if holes else ():
        known.lacks(key, gap, may_be_beginning=False)
    return Repair(len(minutes), stored)


def holes_of(symbol: str, window: range) -> list[range]:
    return candle_gaps(VENUE, symbol, TIMEFRAME, window.start, window.stop)


def marks_of(symbol: str) -> list[int]:
    """Of all times: one is older than one looks back when nobody could be asked."""
    return list(CandleToRepair.objects.filter(venue=VENUE, symbol=symbol).values_list("open_ms", flat=True))


def runs(minutes: Iterable[int]) -> list[range]:
    """Minutes, which rise, as ranges of time."""
    joined: list[range] = []
    for open_ms in minutes:
        if joined and joined[-1].stop == open_ms:
            joined[-1] = range(joined[-1].start, open_ms + MINUTE_MS)
        else:
            joined.append(range(open_ms, open_ms + MINUTE_MS))
    return joined


def gap_repair(symbol: str, gap: range) -> int:
    stored, settled_ms = 0, gap.stop
    for page in klines_between(venue().klines, symbol, TIMEFRAME, gap):
        stored += candle_upsert([candle for candle in page if candle.is_closed])
        settled_ms = min([settled_ms, *(candle.open_ms for candle in page if not candle.is_closed)])
    # What the venue has no candle of, though it was asked, is as good as it will be.
    candles_unmark(VENUE, symbol, gap.start, settled_ms)
    return stored
