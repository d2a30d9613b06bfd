"""Instants as clients write them."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketdata.rest.times import MAX_TIME_MS, parse_time_ms


@given(st.integers(0, MAX_TIME_MS), st.integers(-14 * 60, 14 * 60))
def test_milliseconds_and_iso_times_mean_the_same_instant(time_ms: int, offset_minutes: int) -> None:
    offset = timedelta(minutes=offset_minutes)
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=time_ms)
    assert parse_time_ms(str(time_ms)) == time_ms
    assert parse_time_ms(moment.replace(tzinfo=None).isoformat()) == time_ms
    if timedelta(days=1) < timedelta(milliseconds=time_ms) < timedelta(days=365 * 8000):
        text = moment.astimezone(timezone(offset)).isoformat()
        assert parse_time_ms(text) == parse_time_ms(text.replace("+", " ")) == time_ms


@pytest.mark.parametrize(
    "text",
    [
        *("", "yesterday", "-1", "1969-12-31T23:59:59", str(MAX_TIME_MS + 1), "1.5", "9" * 5000),
        *(
            "1_000",
            "1_704_067_200_000",
            "١٧٠٤٠٦٧٢٠٠٠٠٠",
            "１７０４０６７２０００００",
            " 1704067200000",
            "１２０２６-１１-２９",
        ),
    ],
)
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_time_ms(text)
