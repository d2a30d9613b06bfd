"""The fifteen timeframes: when their candles open and close, against the calendar."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketdata.timeframes import (
    DAY_MS,
    FIXED_MS,
    TIMEFRAMES,
    candle_close_ms,
    candle_open_ms,
    candle_shifted_ms,
)

LAST_MS = 253_402_300_799_999  # of the year 9999
times = st.integers(0, LAST_MS - 40 * DAY_MS)
every_timeframe = pytest.mark.parametrize("timeframe", TIMEFRAMES)


def ms(*date: int) -> int:
    return int(datetime(*date, tzinfo=UTC).timestamp() * 1000)  # type: ignore[misc]


def test_there_are_fifteen_in_the_contracts_order() -> None:
    assert " ".join(TIMEFRAMES) == "1m 3m 5m 15m 30m 1h 2h 4h 6h 8h 12h 1d 3d 1w 1M"


@every_timeframe
@given(time_ms=times)
def test_every_moment_is_in_exactly_one_candle(timeframe: str, time_ms: int) -> None:
    open_ms = candle_open_ms(timeframe, time_ms)
    close_ms = candle_close_ms(timeframe, open_ms)
    assert open_ms <= time_ms < close_ms
    assert candle_open_ms(timeframe, open_ms) == open_ms
    assert candle_open_ms(timeframe, close_ms - 1) == open_ms
    assert candle_open_ms(timeframe, close_ms) == close_ms


@every_timeframe
@given(time_ms=st.integers(ms(1990, 1, 1), ms(2100, 1, 1)), count=st.integers(-100, 100))
def test_shifting_is_stepping_from_candle_to_candle(timeframe: str, time_ms: int, count: int) -> None:
    stepped_ms = open_ms = candle_open_ms(timeframe, time_ms)
    for _ in range(abs(count)):
        before_ms, after_ms = candle_open_ms(timeframe, stepped_ms - 1), candle_close_ms(timeframe, stepped_ms)
        stepped_ms = after_ms if count > 0 else before_ms
    assert candle_shifted_ms(timeframe, open_ms, count) == stepped_ms
    assert candle_shifted_ms(timeframe, stepped_ms, -count) == open_ms


@given(time_ms=times)
def test_weeks_begin_on_monday_and_months_on_the_first(time_ms: int) -> None:
    day = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=time_ms)
    midnight = day.replace(hour=0, minute=0, second=0, microsecond=0)
    monday, first = midnight - timedelta(days=day.weekday()), midnight.replace(day=1)
    # Before the first Monday of 1970 the week began in 1969.
    assert candle_open_ms("1w", time_ms) == round(monday.timestamp()) * 1000
    assert candle_open_ms("1M", time_ms) == round(first.timestamp()) * 1000


@pytest.mark.parametrize(
    ("timeframe", "opens", "closes"),
    [
        ("1w", (2024, 2, 26), (2024, 3, 4)),
        ("1M", (2024, 2, 1), (2024, 3, 1)),
        ("1d", (2024, 2, 29), (2024, 3, 1)),
        ("8h", (2024, 2, 29, 16), (2024, 3, 1)),
        ("12h", (2024, 2, 29, 12), (2024, 3, 1)),
    ],
)
def test_a_leap_day(timeframe: str, opens: tuple[int, ...], closes: tuple[int, ...]) -> None:
    open_ms = candle_open_ms(timeframe, ms(2024, 2, 29, 23, 59, 59))
    assert (open_ms, candle_close_ms(timeframe, open_ms)) == (ms(*opens), ms(*closes))


def test_months_are_shifted_over_the_ends_of_years() -> None:
    assert candle_shifted_ms("1M", ms(2023, 12, 1), 1) == ms(2024, 1, 1)
    assert candle_shifted_ms("1M", ms(2024, 1, 1), -1) == ms(2023, 12, 1)
    assert candle_shifted_ms("1M", ms(2024, 1, 1), -25) == ms(2021, 12, 1)


def test_those_up_to_three_days_are_multiples_of_their_length() -> None:
    for timeframe in TIMEFRAMES[:13]:
        assert candle_open_ms(timeframe, ms(2024, 2, 29, 13, 14, 15)) % FIXED_MS[timeframe] == 0
