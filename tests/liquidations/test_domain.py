"""Rules without a database: above all, which bars may answer which part of a window."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from liquidations.domain import (
    BAR_INTERVALS_MS,
    DAY_MS,
    HOUR_MS,
    MAX_TIMESTAMP_MS,
    MINUTE_MS,
    Segment,
    canonical_symbol,
    ceil_ms,
    cover,
    floor_ms,
    format_iso,
    parse_timeframe_ms,
    parse_timestamp_ms,
    plan_window,
    usable_bars,
)
from tests.factories import T0
from tests.liquidations.strategies import TIMEFRAMES_MS, instants

intervals = st.sampled_from([[], [MINUTE_MS], [HOUR_MS, MINUTE_MS], [DAY_MS, HOUR_MS, MINUTE_MS], [DAY_MS], [HOUR_MS]])
moments = instants(T0, T0 + 6 * DAY_MS)
watermarks = st.one_of(st.just(0), moments.map(lambda at: floor_ms(at, MINUTE_MS)), st.just(MAX_TIMESTAMP_MS))
stale_days = st.sets(st.integers(-1, 7).map(lambda number: T0 + number * DAY_MS)).map(sorted)
timeframes = st.one_of(
    st.sampled_from(TIMEFRAMES_MS),
    st.builds(lambda count, unit: count * unit, st.integers(1, 400), st.sampled_from(BAR_INTERVALS_MS)),
)


def assert_partition(segments: list[Segment], start_ms: int, end_ms: int) -> None:
    """The segments follow each other from start to end, with nothing twice and nothing left out."""
    borders = [start_ms]
    for segment in segments:
        assert segment.start_ms == borders[-1] < segment.end_ms
        borders.append(segment.end_ms)
    assert borders[-1] == max(start_ms, end_ms)


def assert_aligned(segments: list[Segment]) -> None:
    for segment in segments:
        if segment.interval_ms:
            assert segment.start_ms % segment.interval_ms == segment.end_ms % segment.interval_ms == 0


@given(moments, moments, intervals)
def test_cover_partitions_the_window_into_whole_bars_and_edges(start: int, end: int, usable: list[int]) -> None:
    segments = cover(start, end, usable)
    assert_partition(segments, start, end)
    assert_aligned(segments)
    assert {segment.interval_ms for segment in segments} <= {*usable, None}


@given(moments, moments, intervals)
def test_cover_leaves_to_finer_intervals_less_than_one_bar_at_each_edge(
    start: int, end: int, usable: list[int]
) -> None:
    for interval_ms in usable:
        coarser = [bar for bar in usable if bar >= interval_ms]
        finer = [part for part in cover(start, end, usable) if part.interval_ms not in coarser]
        inside = [max(ceil_ms(part.start_ms, interval_ms), part.start_ms) for part in finer]
        for part, first in zip(finer, inside, strict=True):
            assert first + interval_ms > part.end_ms, "a whole bar would have fitted"


@given(moments, moments, intervals, watermarks, stale_days)
def test_a_plan_partitions_the_window_and_trusts_bars_only_where_they_are_built(
    start: int, end: int, usable: list[int], built_until: int, stale: list[int]
) -> None:
    segments = plan_window(start, end, usable, built_until, stale)
    assert_partition(segments, start, end)
    assert_aligned(segments)
    for segment in segments:
        if segment.interval_ms:
            assert segment.end_ms <= built_until
            assert not any(day < segment.end_ms and segment.start_ms < day + DAY_MS for day in stale)


@given(moments, moments, intervals, watermarks, stale_days)
def test_neighbouring_segments_of_a_plan_differ(
    start: int, end: int, usable: list[int], built_until: int, stale: list[int]
) -> None:
    segments = plan_window(start, end, usable, built_until, stale)
    assert all(one.interval_ms != other.interval_ms for one, other in itertools.pairwise(segments))


@given(moments, moments)
def test_everything_built_and_nothing_stale_leaves_less_than_a_minute_at_each_edge_to_the_table(
    start: int, end: int
) -> None:
    segments = plan_window(start, end, BAR_INTERVALS_MS, MAX_TIMESTAMP_MS, [])
    from_table = [segment for segment in segments if segment.interval_ms is None]
    assert all(segment.end_ms - segment.start_ms < 2 * MINUTE_MS for segment in from_table)
    assert len(from_table) <= 2


@given(timeframes, moments)
def test_a_usable_bar_never_straddles_a_bucket(timeframe_ms: int, origin_ms: int) -> None:
    for bar_ms in usable_bars(timeframe_ms, origin_ms):
        for opened in range(floor_ms(origin_ms, bar_ms), origin_ms + 3 * bar_ms, bar_ms):
            assert (opened - origin_ms) // timeframe_ms == (opened + bar_ms - 1 - origin_ms) // timeframe_ms


def test_usable_bars_go_by_timeframe_and_origin() -> None:
    assert usable_bars(DAY_MS, 0) == [DAY_MS, HOUR_MS, MINUTE_MS]
    assert usable_bars(7 * DAY_MS, T0) == [DAY_MS, HOUR_MS, MINUTE_MS]
    assert usable_bars(7 * HOUR_MS, T0) == [HOUR_MS, MINUTE_MS]
    assert usable_bars(DAY_MS, T0 + HOUR_MS) == [HOUR_MS, MINUTE_MS]
    assert usable_bars(45 * MINUTE_MS, T0 + HOUR_MS) == [MINUTE_MS]
    assert usable_bars(DAY_MS, T0 + 1) == []


def test_a_plan_reads_as_one_would_write_it() -> None:
    start, end = T0 + 23 * HOUR_MS + 59 * MINUTE_MS + 30_000, T0 + 4 * DAY_MS
    built_until = T0 + 3 * DAY_MS + HOUR_MS
    assert plan_window(start, end, BAR_INTERVALS_MS, built_until, [T0 + 2 * DAY_MS]) == [
        Segment(None, start, T0 + DAY_MS),
        Segment(DAY_MS, T0 + DAY_MS, T0 + 2 * DAY_MS),
        Segment(None, T0 + 2 * DAY_MS, T0 + 3 * DAY_MS),
        Segment(HOUR_MS, T0 + 3 * DAY_MS, built_until),
        Segment(None, built_until, end),
    ]


@given(st.integers(-(10**14), 10**14), st.sampled_from(BAR_INTERVALS_MS))
def test_floor_and_ceil_are_the_borders_around_an_instant(at: int, interval_ms: int) -> None:
    low, high = floor_ms(at, interval_ms), ceil_ms(at, interval_ms)
    assert low % interval_ms == high % interval_ms == 0
    assert low <= at <= high
    assert high - low == (0 if at % interval_ms == 0 else interval_ms)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1704067200000", T0),
        ("20210101", 20_210_101),
        ("2024-01-01", T0),
        ("2024-01-01T00:00:00Z", T0),
        ("2024-01-01T02:00:00+02:00", T0),
        ("2024-01-01T02:00:00 02:00", T0),
        ("2024-01-01T00:00:00.001", T0 + 1),
        ("9999-12-31T23:59:59.999", MAX_TIMESTAMP_MS),
    ],
)
def test_timestamps_are_milliseconds_or_iso(text: str, expected: int) -> None:
    assert parse_timestamp_ms(text) == expected


@pytest.mark.parametrize("text", ["", "tomorrow", "12:00", "1e3", str(MAX_TIMESTAMP_MS + 1), "10000-01-01", "\x00"])
def test_other_texts_are_no_timestamps(text: str) -> None:
    with pytest.raises(ValueError, match=r".*"):
        parse_timestamp_ms(text)


@given(st.integers(0, MAX_TIMESTAMP_MS))
def test_a_written_time_reads_back_as_itself(at: int) -> None:
    assert parse_timestamp_ms(format_iso(at)) == at


@pytest.mark.parametrize(("text", "expected"), [("1m", MINUTE_MS), ("7h", 7 * HOUR_MS), ("3D", 3 * DAY_MS)])
def test_timeframes_are_a_count_and_a_unit_in_any_case(text: str, expected: int) -> None:
    assert parse_timeframe_ms(text) == expected


@pytest.mark.parametrize("text", ["", "m", "0m", "1w", "1M0", "-1h", "1.5h", "1h ", "1", "١m", "999999999999d"])
def test_other_texts_are_no_timeframes(text: str) -> None:
    with pytest.raises(ValueError, match=r".*"):
        parse_timeframe_ms(text)


def test_a_symbol_has_one_canonical_spelling() -> None:
    assert {canonical_symbol(text) for text in ("btcusdt", " BtcUsdt ", "BTCUSDT")} == {"BTCUSDT"}
    assert canonical_symbol("币安人生usdt") == "币安人生USDT"
