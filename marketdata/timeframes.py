"""The fifteen timeframes of candles, and when a candle of each opens. No Django.

Timeframes up to three days are multiples of their length since 1970; weeks begin on Monday, months by the calendar,
all in UTC.
"""

from datetime import UTC, datetime, timedelta

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS
WEEK_MS = 7 * DAY_MS
# 1970 began on a Thursday: the first Monday was the fifth of January.
FIRST_MONDAY_MS = 4 * DAY_MS
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

# Of fixed length, in ms; a month has none.
FIXED_MS = {
    "1m": MINUTE_MS,
    "3m": 3 * MINUTE_MS,
    "5m": 5 * MINUTE_MS,
    "15m": 15 * MINUTE_MS,
    "30m": 30 * MINUTE_MS,
    "1h": HOUR_MS,
    "2h": 2 * HOUR_MS,
    "4h": 4 * HOUR_MS,
    "6h": 6 * HOUR_MS,
    "8h": 8 * HOUR_MS,
    "12h": 12 * HOUR_MS,
    "1d": DAY_MS,
    "3d": 3 * DAY_MS,
    "1w": WEEK_MS,
}
MONTH = "1M"
TIMEFRAMES = (*FIXED_MS, MONTH)  # case matters: 1m is a minute, 1M a month


def candle_open_ms(timeframe: str, time_ms: int) -> int:
    """When the candle that holds ``time_ms`` opens."""
    if timeframe == MONTH:
        return month_open_ms(time_ms)
    origin_ms = FIRST_MONDAY_MS if timeframe == "1w" else 0
    return time_ms - (time_ms - origin_ms) % FIXED_MS[timeframe]


def candle_close_ms(timeframe: str, open_ms: int) -> int:
    """When the candle that opens at ``open_ms`` is over, which is when the next one opens."""
    if timeframe == MONTH:
        return candle_shifted_ms(MONTH, open_ms, 1)
    return open_ms + FIXED_MS[timeframe]


def candle_shifted_ms(timeframe: str, open_ms: int, count: int) -> int:
    """When the candle opens that lies ``count`` candles later, or earlier where it is negative."""
    if timeframe != MONTH:
        return open_ms + count * FIXED_MS[timeframe]
    opened = moment(open_ms)
    months = opened.year * 12 + opened.month - 1 + count
    return since_epoch_ms(datetime(months // 12, months % 12 + 1, 1, tzinfo=UTC))


def month_open_ms(time_ms: int) -> int:
    return since_epoch_ms(moment(time_ms).replace(day=1, hour=0, minute=0, second=0, microsecond=0))


def moment(time_ms: int) -> datetime:
    return EPOCH + timedelta(milliseconds=time_ms)


def since_epoch_ms(time: datetime) -> int:
    return (time - EPOCH) // timedelta(milliseconds=1)
