"""Taking over from another liqui_api: a stand-in for the original, with its 404s, its has_more and its floats."""

import json
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from liquidations.domain import MAX_TIMESTAMP_MS
from liquidations.importing import api
from liquidations.importing.api import LiquiClient, take_over
from liquidations.importing.checkpoint import Checkpoint
from liquidations.importing.outcomes import SourceUnusable
from liquidations.importing.run import Importer

T0 = 1_700_000_000_000


class OriginalApi:
    """Answers as the original does, under /api; ``faults`` are answered first, one a request."""

    def __init__(self) -> None:
        self.rows: list[dict] = []
        self.faults: list[httpx.Response | Exception] = []
        self.requests: list[httpx.URL] = []

    def add(self, symbol: str, *times_ms: int) -> None:
        for time_ms in times_ms:
            self.rows.append(
                {
                    "symbol": symbol, "side": "sell", "order_type": "LIMIT", "time_in_force": "IOC",
                    "original_quantity": len(self.rows) + 0.001, "price": 84000.1, "average_price": 84010.2,
                    "order_status": "FILLED", "order_last_filled_quantity": 0.001,
                    "order_filled_accumulated_quantity": 1e-05, "order_trade_time": time_ms,
                }
            )  # fmt: skip

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request.url)
        params = request.url.params
        if self.faults and "start_timestamp" in params:
            fault = self.faults.pop(0)
            if isinstance(fault, Exception):
                raise fault
            return fault
        if request.url.path == "/api/symbols":
            return httpx.Response(200, json=sorted({row["symbol"] for row in self.rows}))
        if request.url.path != "/api/liquidation-orders":
            return httpx.Response(404, json={"detail": "Not Found"})
        if "symbol" not in params:
            return httpx.Response(422, json={"detail": [{"loc": ["query", "symbol"]}]})
        return self.page(params)

    def page(self, params: httpx.QueryParams) -> httpx.Response:
        start, end = int(params["start_timestamp"]), int(params["end_timestamp"])
        page, size = int(params["page"]), int(params["page_size"])
        rows = [
            row for row in self.rows if row["symbol"] == params["symbol"] and start <= row["order_trade_time"] <= end
        ]
        rows.sort(key=lambda row: -row["order_trade_time"])
        rows = rows[(page - 1) * size : page * size]
        if not rows:
            return httpx.Response(404, json={"detail": "No liquidation orders found for the given criteria"})
        return httpx.Response(200, json={"data": rows, "pagination": {"page": page, "has_more": len(rows) == size}})


@pytest.fixture
def original() -> OriginalApi:
    return OriginalApi()


@pytest.fixture
def client(original: OriginalApi) -> Callable[..., LiquiClient]:
    def make(url: str = "http://original/api") -> LiquiClient:
        http = httpx.Client(transport=httpx.MockTransport(original))
        return LiquiClient(url, http, sleep=lambda seconds: None)

    return make


@pytest.fixture(autouse=True)
def short_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api, "PAGE_ROWS", 10)


@pytest.fixture
def run(client, table, tmp_path: Path) -> Callable[..., Importer]:
    def run(symbols=("BTCUSDT",), since_ms=0, until_ms=MAX_TIMESTAMP_MS, restart=False) -> Importer:
        importer = Importer(table)
        checkpoint = Checkpoint(tmp_path / "imports", "http://original/api", "SQLite x", since_ms, until_ms)
        if not restart:
            checkpoint.load()
        take_over(importer, client(), symbols, checkpoint)
        return importer

    return run


def progress_files(tmp_path: Path) -> list[Path]:
    return list((tmp_path / "imports").glob("*"))


@pytest.mark.parametrize("count", [0, 1, 9, 10, 11, 95, 100])
def test_every_order_arrives_whatever_the_pages(count: int, original, run, table) -> None:
    original.add("BTCUSDT", *range(T0, T0 + count))
    summary = run().summary
    assert summary.inserted == len(table.rows) == count
    assert not summary.bad


@pytest.mark.parametrize("same", [9, 10, 11, 20, 35])
def test_a_millisecond_that_fills_pages_is_walked_through(same: int, original, run, table) -> None:
    original.add("BTCUSDT", T0 - 1, *[T0] * same, *range(T0 + 1, T0 + 15))
    run()
    assert len(table.rows) == same + 15


def test_numbers_arrive_exactly_as_written_and_sides_in_upper_case(original, run, table) -> None:
    original.add("BTCUSDT", T0)
    run()
    [order] = table.rows.values()
    assert str(order.price) == "84000.1"
    assert order.order_filled_accumulated_quantity == api.msgspec.convert("0.00001", type=type(order.price))
    assert order.side == "SELL"


def test_the_window_is_inclusive_at_both_ends(original, run, table) -> None:
    original.add("BTCUSDT", *range(T0, T0 + 40))
    run(since_ms=T0 + 5, until_ms=T0 + 30)
    assert sorted(order.order_trade_time for order in table.rows.values()) == list(range(T0 + 5, T0 + 31))


def test_the_address_may_lack_its_api(original, client) -> None:
    for url in ("http://original", "http://original/", "http://original/api", "http://original/api/"):
        assert client(url).base == "http://original/api"
    with pytest.raises(SourceUnusable, match="no liqui_api"):
        client("http://original/other")


@pytest.mark.parametrize(
    "fault",
    [
        httpx.Response(503, json={"detail": "Database service unavailable"}),
        httpx.Response(504, json={"detail": "Query timeout after 30 seconds"}),
        httpx.Response(429, headers={"Retry-After": "0"}),
        httpx.Response(429, headers={"Retry-After": "Wed, 21 Oct 2026 07:28:00 GMT"}),
        httpx.ConnectError("refused"),
        httpx.ReadTimeout("slow"),
        httpx.RemoteProtocolError("cut"),
    ],
)
def test_passing_faults_are_tried_again(fault, original, run, table) -> None:
    original.add("BTCUSDT", *range(T0, T0 + 25))
    original.faults = [fault, fault]
    assert not run().summary.bad
    assert len(table.rows) == 25


def test_retry_after_is_honoured(original) -> None:
    slept: list[float] = []
    original.add("BTCUSDT", T0)
    original.faults = [httpx.Response(429, headers={"Retry-After": "17"})]
    client = LiquiClient("http://original/api", httpx.Client(transport=httpx.MockTransport(original)), slept.append)
    assert client.page("BTCUSDT", 0, T0).rows
    assert slept == [17]


def test_a_service_that_stays_away_is_named_and_the_next_run_goes_on_there(
    original, run, table, tmp_path: Path
) -> None:
    original.add("BTCUSDT", *range(T0, T0 + 50))
    original.add("ETHUSDT", T0)
    responses = [original.page, original.page]
    original.faults = []
    calls = 0

    def third_fails(request: httpx.Request) -> httpx.Response:
        nonlocal calls
        calls += "start_timestamp" in request.url.params
        if calls > len(responses):
            raise httpx.ConnectError("refused")
        return original(request)

    importer = Importer(table)
    client = LiquiClient(
        "http://original/api", httpx.Client(transport=httpx.MockTransport(third_fails)), lambda seconds: None
    )
    checkpoint = Checkpoint(tmp_path / "imports", "http://original/api", "SQLite x", 0, MAX_TIMESTAMP_MS)
    take_over(importer, client, ["BTCUSDT", "ETHUSDT"], checkpoint)
    assert [label for label, _ in importer.summary.bad] == ["http://original/api BTCUSDT"]
    assert len(table.rows) == 19  # two pages that share a millisecond
    assert len(progress_files(tmp_path)) == 1

    original.requests.clear()
    run(["BTCUSDT", "ETHUSDT"])
    windows = [int(url.params["end_timestamp"]) for url in original.requests if "end_timestamp" in url.params]
    assert windows[0] == T0 + 31
    assert len(table.rows) == 51
    assert progress_files(tmp_path) == []


def test_a_writer_that_fails_leaves_the_progress_of_what_is_committed(original, run, table, tmp_path: Path) -> None:
    original.add("BTCUSDT", *range(T0, T0 + 50))
    table.fail_after = 2
    with pytest.raises(ConnectionError):
        run()
    [file] = progress_files(tmp_path)
    assert json.loads(file.read_text())["next_end_ms"] == {"BTCUSDT": T0 + 31}
    table.fail_after = None
    run()
    assert len(table.rows) == 50


def test_progress_of_another_window_or_database_or_a_broken_file_is_ignored(tmp_path: Path) -> None:
    def checkpoint(database: str = "SQLite x", since_ms: int = 0) -> Checkpoint:
        return Checkpoint(tmp_path, "http://original/api", database, since_ms, 9)

    checkpoint().save("BTCUSDT", 5)
    assert checkpoint().load()
    assert not checkpoint(database="SQLite y").load()
    assert not checkpoint(since_ms=3).load()
    for content in ("", "[]", "{}", "null", '{"next_end_ms": 7}'):
        checkpoint().path.write_text(content)
        assert not checkpoint().load()


def test_symbols_that_are_complete_are_not_fetched_again(original, run, tmp_path: Path) -> None:
    original.add("BTCUSDT", T0)
    original.add("ETHUSDT", T0)
    Checkpoint(tmp_path / "imports", "http://original/api", "SQLite x", 0, MAX_TIMESTAMP_MS).save("BTCUSDT", None)
    assert run(["BTCUSDT", "ETHUSDT"]).summary.read == 1
    Checkpoint(tmp_path / "imports", "http://original/api", "SQLite x", 0, MAX_TIMESTAMP_MS).save("BTCUSDT", None)
    assert run(["BTCUSDT", "ETHUSDT"], restart=True).summary.read == 2


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(400, json={"detail": "no"}),
        httpx.Response(200, text="<html>"),
        httpx.Response(200, json=[]),
        httpx.Response(200, json={"data": [{"order_trade_time": None}], "pagination": {"has_more": True}}),
        httpx.Response(200, json={"data": [{"order_trade_time": 5 * T0}], "pagination": {"has_more": True}}),
    ],
)
def test_an_answer_that_makes_no_sense_is_named_and_the_next_symbol_is_fetched(answer, original, run, table) -> None:
    original.add("ETHUSDT", T0)
    original.faults = [answer]
    summary = run(["BTCUSDT", "ETHUSDT"], until_ms=2 * T0).summary
    assert [label for label, _ in summary.bad] == ["http://original/api BTCUSDT"]
    assert len(table.rows) == 1


def test_bad_rows_of_an_answer_are_rejected_and_counted(original, run, table) -> None:
    original.add("BTCUSDT", T0, T0 + 1)
    original.rows[0]["side"] = "HOLD"
    summary = run().summary
    assert dict(summary.rejected) == {"side: neither BUY nor SELL": 1}
    assert len(table.rows) == 1
