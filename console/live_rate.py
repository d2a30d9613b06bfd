"""How many liquidations come in: minute by minute over the last hour."""

import time
from dataclasses import dataclass

from django.conf import settings

from database.reading import reading
from liquidations.table import table_profile
from liquidations.windows import integer_division
from streams.models import OutboxOrder

MINUTE_MS, MINUTES = 60_000, 60
SECONDS = 2  # a figure that is shown every few seconds must not cost more
COLLECTED_FEEDS = ("live", "simulated", "replay")


class NoIndex(Exception):
    """Counting would read the whole table."""


@dataclass(frozen=True, slots=True)
class LiveRate:
    """``minutes``: (open time in ms UTC, orders), the last one unfinished; ``last_minute``: the 60 s until now."""

    last_minute: int
    last_hour: int
    minutes: list[tuple[int, int]]


def live_rate() -> LiveRate:
    """By the time of storing where we collect; by that of the trade where another program fills the table.

    Raises `NoIndex`, `QueryTimeout` and Django's database errors.
    """
    source, column = counted_from()
    now_ms = time.time_ns() // 1_000_000
    first_ms = (now_ms // MINUTE_MS - MINUTES + 1) * MINUTE_MS
    with reading(SECONDS) as reader:
        rows = reader.rows(
            f"SELECT {column} {integer_division()} {MINUTE_MS}, COUNT(*) FROM {source} "
            f"WHERE {column} BETWEEN %s AND %s GROUP BY 1",
            [first_ms, now_ms],
        )
        last_minute = reader.value(
            f"SELECT COUNT(*) FROM {source} WHERE {column} BETWEEN %s AND %s", [now_ms - MINUTE_MS, now_ms]
        )
    counts = {int(minute) * MINUTE_MS: count for minute, count in rows}
    minutes = [(open_ms, counts.get(open_ms, 0)) for open_ms in range(first_ms, now_ms, MINUTE_MS)]
    return LiveRate(last_minute, sum(count for _, count in minutes), minutes)


def counted_from() -> tuple[str, str]:
    """The table and its column of times (ms UTC)."""
    if settings.LIQUI_FEED in COLLECTED_FEEDS:
        return OutboxOrder._meta.db_table, "stored_ms"
    profile = table_profile()
    if profile.index_on("order_trade_time") is None:
        raise NoIndex(f"{profile.name} has no index that begins with order_trade_time")
    return profile.source("order_trade_time"), "order_trade_time"
