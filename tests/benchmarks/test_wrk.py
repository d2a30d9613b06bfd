"""What is read in wrk's report, and what is made of it."""

import pytest

from benchmarks.figures import Figure, cells, figure_lines, of_load
from benchmarks.server import BenchmarkFailed
from benchmarks.wrk import Load, parse

REPORT = """Running 2s test @ http://127.0.0.1:8000/
  1 threads and 32 connections
  Latency Distribution
     50%  912.00us
     75%    1.20ms
     90%    2.50ms
     99%    1.25s
  20480 requests in 2.00s, 11.20MB read
{extra}Requests/sec:  10240.50
Transfer/sec:      5.60MB
{printed}""".replace("1.25s", "1.25s ")  # seconds come with a blank


def test_rate_and_percentiles_are_read_in_whatever_unit_they_come() -> None:
    assert parse(REPORT.format(extra="", printed="")) == Load(10240.5, 0.912, 1250.0)


@pytest.mark.parametrize(
    "extra", ["  Non-2xx or 3xx responses: 3\n", "  Socket errors: connect 0, read 1, write 0, timeout 0\n"]
)
def test_errors_are_not_measured(extra: str) -> None:
    with pytest.raises(BenchmarkFailed, match="wrk"):
        parse(REPORT.format(extra=extra, printed=""))


def test_a_list_of_paths_counts_its_failures_itself() -> None:
    extra = "  Non-2xx or 3xx responses: 3\n"
    assert parse(REPORT.format(extra=extra, printed="Failed: 0\n")).rate == 10240.5
    with pytest.raises(BenchmarkFailed):
        parse(REPORT.format(extra=extra, printed="Failed: 2\n"))


def test_a_report_without_figures_is_an_error() -> None:
    with pytest.raises(BenchmarkFailed):
        parse("unable to connect")


def test_a_figure_is_written_with_its_goal() -> None:
    load = Load(12_345.6, 1.234, 9.87)
    assert cells(of_load("hits", load, 10_000)) == (
        *("hits", "12 300 requests/s", "1.23 ms", "9.87 ms", "≥ 10 000 requests/s", "yes"),
    )
    assert cells(Figure("hit rate", 79.9, "%", goal=80))[1:] == ("79.9 %", "–", "–", "≥ 80 %", "NO")
    assert figure_lines([Figure("clients", 8, "")], is_markdown=True)[1:] == [
        "|---|---:|---:|---:|---:|---:|",
        "| clients | 8 | – | – | – | – |",
    ]
