"""The gap ledger, and GET /api/v1/gaps."""

from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from hypothesis import given
from hypothesis import strategies as st

from marketdata.clock import clock_ms
from marketdata.venues.binance.routes import ALL_LIQUIDATIONS
from streams.collecting.coverage import Coverage
from streams.gaps import KEPT_MS, Gap, complement, coverage_write, gaps
from streams.models import StreamCoverage
from streams.tasks import prune_outbox

DAY = 1_795_000_000_000
spans = st.lists(st.tuples(st.integers(0, 60), st.integers(0, 20)).map(lambda pair: (pair[0], pair[0] + pair[1])))


def cover(*times: tuple[int, int], collector: str = "one", stream: str = ALL_LIQUIDATIONS) -> None:
    coverage_write("binance", collector, [(stream, DAY + start, DAY + end) for start, end in times])


def found(since: int, until: int, now: int) -> list[tuple[int, int | None]]:
    listed = gaps(ALL_LIQUIDATIONS, DAY + since, DAY + until, DAY + now)
    return [(gap.start_ms - DAY, None if gap.end_ms is None else gap.end_ms - DAY) for gap in listed]


@given(spans=spans, start=st.integers(0, 40), length=st.integers(1, 40))
def test_gaps_are_exactly_the_moments_that_no_span_covers(
    spans: list[tuple[int, int]], start: int, length: int
) -> None:
    end = start + length
    holes = list(complement(sorted(spans), start, end))
    moments = {moment for hole_start, hole_end in holes for moment in range(hole_start, hole_end)}
    covered = {moment for span_start, span_end in spans for moment in range(span_start, span_end)}
    assert moments == set(range(start, end)) - covered
    # Whole: none is empty, and no two of them touch.
    assert all(hole_start < hole_end for hole_start, hole_end in holes)
    assert all(left[1] < right[0] for left, right in pairwise(holes))


@pytest.mark.django_db
def test_what_one_of_two_collectors_received_is_no_gap() -> None:
    cover((0, 20_000), (30_000, 60_000))
    cover((15_000, 25_000), (28_000, 40_000), collector="two")
    cover((0, 90_000), stream="btcusdt@aggTrade")
    assert found(0, 60_000, now=60_000) == [(25_000, 28_000)]


@pytest.mark.django_db
def test_a_gap_that_goes_on_has_no_end_and_the_last_seconds_may_only_be_unwritten() -> None:
    cover((0, 50_000))
    assert found(0, 99_000, now=54_000) == []
    assert found(0, 99_000, now=60_000) == [(50_000, None)]
    assert found(0, 55_000, now=60_000) == [(50_000, 55_000)]


@pytest.mark.django_db
def test_a_span_is_extended_and_may_be_shortened_when_its_end_is_known() -> None:
    cover((0, 10_000))
    cover((0, 20_000))
    assert StreamCoverage.objects.get().until_ms == DAY + 20_000
    cover((0, 15_000))
    assert StreamCoverage.objects.get().until_ms == DAY + 15_000


def test_what_the_database_did_not_take_is_known_to_the_next_process(tmp_path: Path) -> None:
    path = tmp_path / "coverage.json"
    coverage = Coverage(path)
    first, second = coverage.begin("a", 1000), coverage.begin("b", 1000)
    # No two of a collector begin at once: the start is the row's key.
    assert (first.started_ms, second.started_ms) == (1000, 1001)
    first.until_ms = 5000
    coverage.end(second, 3000)
    coverage.save()
    again = Coverage(path)
    due = again.due()
    assert [(each.span.stream, each.span.started_ms, each.until_ms) for each in due] == [
        ("a", 1000, 5000),
        ("b", 1001, 3000),
    ]
    again.done(due)
    again.save()
    assert (again.due(), Coverage(path).due()) == ([], [])


def test_a_span_that_is_open_is_written_again_until_it_has_ended(tmp_path: Path) -> None:
    coverage = Coverage(tmp_path / "coverage.json")
    span = coverage.begin("a", 1000)
    due = coverage.due()
    coverage.end(span, 4000)
    # It ended while the database took what was known before.
    coverage.done(due)
    assert [each.until_ms for each in coverage.due()] == [4000]
    coverage.done(coverage.due())
    assert coverage.due() == []


# Over HTTP --------------------------------------------------------------------------------------------------------


@pytest.fixture
def ask(client: Client, transactional_db: None) -> Any:
    return lambda **query: client.get("/api/v1/gaps", query)


def test_gaps_are_listed_with_their_window_and_short_ones_may_be_left_out(ask: Any) -> None:
    cover((0, 10_000), (10_500, 20_000), (30_000, 40_000))
    answer = ask(since=DAY, until=DAY + 40_000)
    assert answer.status_code == 200
    assert answer.json() == {
        "stream": ALL_LIQUIDATIONS,
        "since_ms": DAY,
        "until_ms": DAY + 40_000,
        "gaps": [
            {"stream": ALL_LIQUIDATIONS, "start_ms": DAY + 10_000, "end_ms": DAY + 10_500, "seconds": 0.5},
            {"stream": ALL_LIQUIDATIONS, "start_ms": DAY + 20_000, "end_ms": DAY + 30_000, "seconds": 10.0},
        ],
    }
    longer = ask(since=DAY, until=DAY + 40_000, min_ms=1000).json()["gaps"]
    assert [gap["seconds"] for gap in longer] == [10.0]


def test_a_stream_that_nobody_follows_is_one_gap_and_the_last_day_is_the_default(ask: Any) -> None:
    body = ask(stream="btcusdt@depth").json()
    assert body["until_ms"] - body["since_ms"] == 86_400_000
    assert [gap["stream"] for gap in body["gaps"]] == ["btcusdt@depth"]


@pytest.mark.parametrize(
    ("query", "detail"),
    [
        ({"since": "yesterday"}, "since and until must be Unix milliseconds or ISO 8601"),
        ({"until": "-1"}, "since and until must be Unix milliseconds or ISO 8601"),
        ({"since": DAY, "until": DAY}, "since must be before until"),
        ({"since": "2020-01-01", "until": "2024-01-01"}, "The window may have 366 days at the most"),
    ],
)
def test_a_window_that_is_none_is_refused_in_the_terminals_shape(ask: Any, query: Any, detail: str) -> None:
    answer = ask(**query)
    assert (answer.status_code, answer.json()) == (400, {"detail": detail, "status_code": 400})


def test_an_unreadable_parameter_is_422_in_the_list_form(ask: Any) -> None:
    answer = ask(min_ms="short")
    assert answer.status_code == 422
    assert answer.json()["detail"][0]["loc"] == ["query", "min_ms"]


def test_a_gap_says_how_long_it_is(transactional_db: None) -> None:
    cover((0, 1000), (4000, 5000))
    assert gaps(ALL_LIQUIDATIONS, DAY, DAY + 5000, DAY + 9000) == [Gap(ALL_LIQUIDATIONS, DAY + 1000, DAY + 4000, 3.0)]


def test_the_oldest_connections_are_forgotten_every_hour(transactional_db: None) -> None:
    now_ms = clock_ms()
    ends = {"old": now_ms - KEPT_MS - 60_000, "kept": now_ms - KEPT_MS + 600_000, "new": now_ms}
    for collector, end in ends.items():
        coverage_write("binance", collector, [(ALL_LIQUIDATIONS, end - 10_000, end)])
    prune_outbox()
    assert set(StreamCoverage.objects.values_list("collector", flat=True)) == {"kept", "new"}
