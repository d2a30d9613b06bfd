"""Marks on bars, from whatever sources are registered."""

from collections import Counter
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketdata.timeframes import TIMEFRAMES, candle_open_ms
from marketdata.udf import marks as udf_marks
from marketdata.udf.marks import (
    MAX_MARKS,
    MAX_MARKS_PER_BAR,
    MAX_SIZE,
    MIN_SIZE,
    Mark,
    mark_size,
    marks_between,
    marks_register,
    marks_table,
)
from tests.factories import T0
from tests.marketdata.udf.test_symbols import instrument


def mark(number: int, time_ms: int, weight: int) -> Mark:
    return Mark(id=str(number), time_ms=time_ms, weight=Decimal(weight), color="red", label="Long", text="…")


events = st.lists(st.tuples(st.integers(0, 10**8), st.integers(1, 10**9)), max_size=60)


@given(events, st.sampled_from(TIMEFRAMES))
def test_marks_lie_on_bars_in_order_and_the_heaviest_of_each_bar_are_shown(
    events: list[tuple[int, int]], timeframe: str
) -> None:
    marks = [mark(number, T0 + offset, weight) for number, (offset, weight) in enumerate(events)]
    table = marks_table(marks, timeframe, 100)
    assert {len(column) for column in table.values()} == {len(table["id"])}
    assert table["time"] == sorted(table["time"])
    by_id = {each.id: each for each in marks}
    assert len(set(table["id"])) == len(table["id"])
    shown = [by_id[id] for id in table["id"]]
    assert [candle_open_ms(timeframe, each.time_ms) for each in shown] == [time * 1000 for time in table["time"]]
    assert all(count <= MAX_MARKS_PER_BAR for count in Counter(table["time"]).values())
    for hidden in marks:
        if hidden.id not in table["id"]:
            bar = candle_open_ms(timeframe, hidden.time_ms)
            rivals = [each for each in shown if candle_open_ms(timeframe, each.time_ms) == bar]
            assert len(rivals) == MAX_MARKS_PER_BAR
            assert min(each.weight for each in rivals) >= hidden.weight


@pytest.mark.parametrize(("weight", "least", "size"), [(100, 100, MIN_SIZE), (400, 100, 22), (10**9, 0, MAX_SIZE)])
def test_size_grows_with_every_doubling(weight: int, least: int, size: int) -> None:
    assert mark_size(Decimal(weight), least) == size


def test_the_heaviest_marks_of_all_sources_are_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(udf_marks, "sources", [])
    for first in (0, 1):
        marks_register(
            lambda each, start, end, limit, first=first: [mark(n, start, n + 1) for n in range(first, 900, 2)]
        )
    found = marks_between(instrument(), T0, T0 + 1)
    assert [int(each.weight) for each in found] == list(range(900, 900 - MAX_MARKS, -1))


def test_no_marks_are_empty_columns() -> None:
    assert set(map(tuple, marks_table([], "1m", 0).values())) == {()}
