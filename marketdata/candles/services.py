"""Writes of the table of candles."""

from collections.abc import Iterable, Iterator, Sequence

from django.db import connection, transaction

from database.retrying import retry_when_busy
from marketdata.candles.models import CandleToRepair
from marketdata.candles.upserting import rows_upsert
from marketdata.timeframes import DAY_MS, HOUR_MS
from marketdata.types import Candle

BATCH = 1000
# Of which longer candles are rolled up, and the stretches in which it is noted that some have changed.
STRETCHES_MS = {"1m": HOUR_MS, "1h": DAY_MS, "1d": DAY_MS}

Mark = tuple[str, str, str, int]


def candle_upsert(candles: Sequence[Candle]) -> int:
    """Store candles of any symbols and timeframes; how many are new or have changed what was there.

    Running it twice changes nothing. The venue's figures and imported ones are kept against what is made of trades, and
    closed candles against running ones (see `upserting`). Longer candles are rolled up soon after.
    """
    return sum(batch_upsert(batch) for batch in batches(candles))


@retry_when_busy
def batch_upsert(candles: Sequence[Candle]) -> int:
    with transaction.atomic():
        return candles_store(candles)


def candles_store(candles: Sequence[Candle]) -> int:
    """As `candle_upsert`, inside a transaction of the caller's, who tries it again when it lost against another one."""
    return sum(batch_store(batch) for batch in batches(candles))


def batch_store(candles: Sequence[Candle]) -> int:
    changed = rows_upsert(candles)
    if changed:
        marks_write(stretch_of(candle) for candle in candles if candle.timeframe in STRETCHES_MS)
    return changed


def batches(candles: Sequence[Candle]) -> Iterator[Sequence[Candle]]:
    return (candles[first : first + BATCH] for first in range(0, len(candles), BATCH))


def stretch_of(candle: Candle) -> Mark:
    open_ms = candle.open_ms - candle.open_ms % STRETCHES_MS[candle.timeframe]
    return candle.venue, candle.symbol, candle.timeframe, open_ms


def marks_write(marks: Iterable[Mark]) -> None:
    """Note stretches as stale; a mark that exists is locked, which waits for a roll-up that is about to remove it."""
    # In one order everywhere, so that two writers do not wait for each other.
    insert_missing("candles_stale", ("venue", "symbol", "timeframe", "open_ms"), sorted(set(marks)))


@retry_when_busy
def candles_mark(venue: str, symbol: str, minutes: Iterable[int]) -> None:
    """Have the 1m candles that open at these times repaired."""
    with transaction.atomic():
        rows = [(venue, symbol, open_ms) for open_ms in sorted(set(minutes))]
        insert_missing("candles_to_repair", ("venue", "symbol", "open_ms"), rows)


def insert_missing(table: str, columns: Sequence[str], rows: Sequence[tuple[str | int, ...]]) -> None:
    conflict = (
        "ON CONFLICT DO NOTHING" if connection.vendor == "sqlite" else "ON DUPLICATE KEY UPDATE open_ms = open_ms"
    )
    row = f"({', '.join(['%s'] * len(columns))})"
    with connection.cursor() as cursor:
        for first in range(0, len(rows), BATCH):
            part = rows[first : first + BATCH]
            cursor.execute(
                f"INSERT INTO {table} ({', '.join(columns)}) VALUES {', '.join([row] * len(part))} {conflict}",
                [value for values in part for value in values],
            )


def candles_unmark(venue: str, symbol: str, start_ms: int, end_ms: int) -> None:
    CandleToRepair.objects.filter(venue=venue, symbol=symbol, open_ms__gte=start_ms, open_ms__lt=end_ms).delete()
