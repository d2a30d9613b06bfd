"""Reads of the table of candles; nothing here writes."""

from collections.abc import Sequence
from decimal import Decimal

from django.conf import settings
from django.db import connection

from database.reading import Reader, Row, reading
from marketdata.candles.gaps import gaps_find
from marketdata.candles.upserting import VALUES
from marketdata.clock import clock_ms
from marketdata.timeframes import MINUTE_MS
from marketdata.types import Candle, CandleSource
from marketdata.venue import REAL_FEEDS

SELECTED = f"SELECT open_ms, {', '.join(VALUES)} FROM candles"
OF_SERIES = "venue = %s AND symbol = %s AND timeframe = %s"
UNLIMITED = 2**62
AFTER_DECIMALS = 9  # position in a row


def candles_read(
    venue: str, symbol: str, timeframe: str, start_ms: int, end_ms: int, limit: int | None = None
) -> list[Candle]:
    """Candles that open in [start_ms, end_ms) by rising time, the first ``limit`` at most. Raises `QueryTimeout`."""
    with reading(settings.QUERY_TIMEOUT_SECONDS) as reader:
        return candles_select(reader, venue, symbol, timeframe, start_ms, end_ms, limit)


def candles_select(
    reader: Reader, venue: str, symbol: str, timeframe: str, start_ms: int, end_ms: int, limit: int | None = None
) -> list[Candle]:
    """As `candles_read`, with the caller's time limit."""
    rows = reader.rows(
        f"{SELECTED} WHERE {OF_SERIES} AND open_ms >= %s AND open_ms < %s ORDER BY open_ms LIMIT %s",
        [venue, symbol, timeframe, start_ms, end_ms, UNLIMITED if limit is None else limit],
    )
    return candles_of(venue, symbol, timeframe, rows)


def candles_last(
    venue: str, symbol: str, timeframe: str, limit: int, end_ms: int | None = None, start_ms: int = 0
) -> list[Candle]:
    """The newest ``limit`` candles that open in [start_ms, end_ms), by rising time. Raises `QueryTimeout`."""
    with reading(settings.QUERY_TIMEOUT_SECONDS) as reader:
        rows = reader.rows(
            f"{SELECTED} WHERE {OF_SERIES} AND open_ms >= %s AND open_ms < %s ORDER BY open_ms DESC LIMIT %s",
            [venue, symbol, timeframe, start_ms, UNLIMITED if end_ms is None else end_ms, limit],
        )
    return candles_of(venue, symbol, timeframe, rows[::-1])


def candle_gaps(venue: str, symbol: str, timeframe: str, start_ms: int, end_ms: int) -> list[range]:
    """Where no closed candle is in [start_ms, end_ms): ranges of ms, see `marketdata.candles.gaps`."""
    with reading(settings.LONG_QUERY_TIMEOUT_SECONDS) as reader:
        rows = reader.rows(
            f"SELECT open_ms FROM candles WHERE {OF_SERIES} AND open_ms >= %s AND open_ms < %s AND is_closed = %s "
            "ORDER BY open_ms",
            [venue, symbol, timeframe, start_ms, end_ms, True],
        )
    return gaps_find(timeframe, start_ms, end_ms, (open_ms for (open_ms,) in rows))


def candles_stored(venue: str, symbol: str, timeframe: str, start_ms: int, end_ms: int) -> int:
    """How many candles are in the table that open in [start_ms, end_ms)."""
    with reading(settings.LONG_QUERY_TIMEOUT_SECONDS) as reader:
        return reader.value(
            f"SELECT COUNT(*) FROM candles WHERE {OF_SERIES} AND open_ms >= %s AND open_ms < %s",
            [venue, symbol, timeframe, start_ms, end_ms],
        )


def symbols_followed(look_back_ms: int) -> dict[tuple[str, str], range]:
    """(venue, symbol) → the time that its 1m candles span since that many ms ago, of all that were followed lately.

    The newest candle of all says what "lately" is: a replayed market has a time of its own. Of a real one candles of
    our future are left out, which nobody can have followed.
    """
    end_ms = clock_ms() if settings.LIQUI_FEED in REAL_FEEDS else UNLIMITED
    with reading(settings.LONG_QUERY_TIMEOUT_SECONDS) as reader:
        rows = reader.rows(
            "SELECT venue, symbol, MAX(open_ms) FROM candles WHERE timeframe = %s AND open_ms < %s "
            "GROUP BY venue, symbol",
            ["1m", end_ms],
        )
        since_ms = max((newest_ms for *_, newest_ms in rows), default=0) - look_back_ms
        return {
            (venue, symbol): range(first_since(reader, venue, symbol, since_ms), newest_ms + MINUTE_MS)
            for venue, symbol, newest_ms in rows
            if newest_ms >= since_ms
        }


def first_since(reader: Reader, venue: str, symbol: str, since_ms: int) -> int:
    return reader.value(
        f"SELECT MIN(open_ms) FROM candles WHERE {OF_SERIES} AND open_ms >= %s", [venue, symbol, "1m", since_ms]
    )


def candles_of(venue: str, symbol: str, timeframe: str, rows: Sequence[Row]) -> list[Candle]:
    return [
        Candle(
            venue=venue,
            symbol=symbol,
            timeframe=timeframe,
            open_ms=open_ms,
            open=open,
            high=high,
            low=low,
            close=close,
            volume=volume,
            quote_volume=quote_volume,
            taker_buy_volume=buy_volume,
            taker_buy_quote_volume=buy_quote_volume,
            trade_count=trade_count,
            is_closed=bool(is_closed),
            is_empty=bool(is_empty),
            source=CandleSource(source),
        )
        for (
            open_ms,
            open,
            high,
            low,
            close,
            volume,
            quote_volume,
            buy_volume,
            buy_quote_volume,
            trade_count,
            is_closed,
            is_empty,
            source,
        ) in (map(exact, rows) if connection.vendor == "sqlite" else rows)
    ]


def exact(row: Row) -> Row:
    """SQLite's numbers as the shortest decimals that they may stand for."""
    decimals = (None if number is None else Decimal(str(number)) for number in row[1:AFTER_DECIMALS])
    return (row[0], *decimals, *row[AFTER_DECIMALS:])
