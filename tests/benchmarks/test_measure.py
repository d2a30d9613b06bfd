"""What the benchmark's table says of two values."""

import json
from typing import Any

import pytest

from benchmarks.measure import Row, compare, growth, original_growth
from benchmarks.options import parse
from benchmarks.report import aligned, cells, number
from benchmarks.server import BenchmarkFailed

BUCKET = {"timestamp": 0, "timestamp_iso": "1970-01-01T00:00:00+00:00", "side": "SELL", "cumulated_usd_size": 0.3}


def test_ratio_says_how_many_times_better_we_are_for_times_and_for_rates() -> None:
    assert Row("a page", "ms", 10, 100).ratio == 10
    assert Row("an export", "rows/s", 100, 10).ratio == 10
    assert Row("an import", "rows/s", 100).ratio is None


def test_a_time_must_stay_below_its_goal_and_a_rate_above() -> None:
    assert Row("a page", "ms", 15, goal=15).is_reached
    assert not Row("a page", "ms", 15.1, goal=15).is_reached
    assert Row("an export", "rows/s", 200_000, goal=200_000).is_reached
    assert not Row("an export", "rows/s", 199_999, goal=200_000).is_reached
    assert Row("a page", "ms", 15).is_reached is None


def test_growth_compares_the_time_of_whole_runs() -> None:
    assert growth(Row("a page", "ms", 2, 8), Row("a page", "ms", 3, 40)) == 1.5
    assert original_growth(Row("a page", "ms", 2, 8), Row("a page", "ms", 3, 40)) == 5
    # Five times the rows at the same rate.
    assert growth(Row("bars", "rows/s", 10, amount=100), Row("bars", "rows/s", 10, amount=500)) == 5
    assert growth(Row("memory", "MiB", 10), Row("memory", "MiB", 10)) is None


def test_both_are_asked_in_turns_and_the_slow_one_less_often() -> None:
    asked: list[tuple[str, int]] = []

    row = compare("sums", asking("ours", asked), asking("original", asked), repeats=5, seconds=0, goal=None)

    assert asked[:4] == [("ours", 0), ("original", 0), ("ours", 1), ("original", 1)]
    assert asked[4:6] == [("original", 2), ("ours", 2)]
    assert sum(who == "ours" for who, _ in asked) == 6
    assert sum(who == "original" for who, _ in asked) == 4
    assert row.unit == "ms"


def test_answers_that_differ_are_not_measured() -> None:
    wrong = asking("original", [], cumulated_usd_size=0.31)

    with pytest.raises(BenchmarkFailed, match="sums: the answers differ"):
        compare("sums", asking("ours", []), wrong, repeats=1, seconds=0, goal=None)


def test_answers_may_differ_in_the_case_of_the_side_and_the_last_digit() -> None:
    other = asking("original", [], side="sell", cumulated_usd_size=0.1 + 0.2)

    compare("sums", asking("ours", []), other, repeats=1, seconds=0, goal=None)


@pytest.mark.parametrize(
    ("value", "text"), [(0.6123, "0.612"), (21.34, "21.3"), (2058.4, "2 058"), (412_345.0, "412 000"), (8.0, "8")]
)
def test_numbers_have_the_digits_that_count(value: float, text: str) -> None:
    assert number(value) == text


def test_a_row_is_written_with_goal_and_growth() -> None:
    small, large = Row("a page", "ms", 2, 10), Row("a page", "ms", 5, 50, goal=4)

    assert cells(large, small) == ("a page", "5 ms", "50 ms", "10×", "≤ 4 ms", "NO", "2.5×", "5.0×")
    assert cells(Row("an import", "rows/s", 30_000), None)[2:] == ("–",) * 6


def test_columns_are_aligned() -> None:
    assert aligned([("work", "ms"), ("a page", "5")]) == ["work    ms", "a page   5"]


def test_too_few_rows_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse(["--rows", "1000"])
    assert "--rows: at least 250000" in capsys.readouterr().err


def asking(who: str, asked: list[tuple[str, int]], **changed: Any) -> Any:
    def ask(number: int) -> bytes:
        asked.append((who, number))
        return json.dumps([BUCKET | changed]).encode()

    return ask
