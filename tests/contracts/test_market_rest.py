"""Order books, trades and candles over REST, by a real server that follows a simulated exchange."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import pytest

from marketdata.timeframes import TIMEFRAMES
from tests.e2e.live.exchange import Exchange, ExchangeControl
from tests.live import LiveServer, server_environment, wait_until
from tests.marketdata.udf.charts import Chart

INVALID_TIMEFRAME = "Invalid timeframe. Valid options: 1m, 3m, 5m, 15m, 30m, 1h, 2h, 4h, 6h, 8h, 12h, 1d, 3d, 1w, 1M"
NOT_FOUND = "Symbol BTCUSD not found. Did you mean: BTCUSDT"
LEVEL, CANDLE = ["price", "amount"], ["timestamp", "open", "high", "low", "close", "volume"]
TRADE = [
    *("id", "price", "amount", "side", "timestamp"),
    *("price_formatted", "amount_formatted", "time_formatted"),
]


MOST_CHANGES = 200  # of a book, while an answer is kept


@dataclass
class Market:
    server: LiveServer
    exchange: ExchangeControl

    def get(self, path: str, **parameters: Any) -> httpx.Response:
        return self.server.get(f"/api/v1/{path}", **parameters)

    def venue(self, path: str, **parameters: Any) -> Any:
        """What the exchange itself says."""
        return self.exchange.http.get(f"/fapi/v1/{path}", params=parameters).json()


@pytest.fixture(scope="module")
def market(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Market]:
    home = tmp_path_factory.mktemp("market")
    (home / "web").mkdir()
    with exchange_of(home) as exchange:
        wait_until(exchange.control.is_up, 30, "the exchange is up")
        exchange.control.tell("resume")
        variables = exchange.addresses | {"FEED": "simulated", "DATABASE_URL": f"sqlite:///{home}/market.sqlite3"}
        with LiveServer("asgi", home / "web", variables) as server:
            found = Market(server, exchange.control)
            wait_until(lambda: found.get("candles/BTCUSDT").status_code == 200, 30, "the symbols are known")
            yield found


def exchange_of(home: Path) -> Exchange:
    return Exchange(home, server_environment(home), ("--symbols", "10", "--trades", "100", "--seed", "7"))


@pytest.fixture
def still(market: Market) -> Iterator[Market]:
    """Time stands still at the exchange, so that it says the same twice."""
    market.exchange.tell("pause")
    yield market
    market.exchange.tell("resume")


def last_books(market: Market) -> Iterator[dict[str, Any]]:
    """The exchange's book after each of its last changes, the newest first; asking for it is one, too."""
    question = "book?symbol=BTCUSDT"
    for _ in range(MOST_CHANGES):
        book = market.exchange.get(question)
        yield book
        question = f"book?symbol=BTCUSDT&id={book['lastUpdateId'] - 1}"


def floats(levels: list[list[str]]) -> list[dict[str, float]]:
    return [{"price": float(price), "amount": float(amount)} for price, amount in levels]


@pytest.mark.contract("D077")
@pytest.mark.parametrize(("limit", "levels"), [(1, 1), (7, 7), (20, 20), (None, 100), (5000, 1000)])
def test_the_order_book_is_the_exchanges_level_by_level(still: Market, limit: int | None, levels: int) -> None:
    book = still.get("orderbook/BTCUSDT", **({} if limit is None else {"limit": limit})).json()
    assert any(
        all(book[side] == floats(venue[side][:levels]) for side in ("bids", "asks")) for venue in last_books(still)
    )
    assert list(book) == ["symbol", "bids", "asks", "timestamp"]
    assert book["symbol"] == "BTCUSDT"
    for side, step in (("bids", -1), ("asks", 1)):
        assert all(list(level) == LEVEL for level in book[side])
        prices = [level["price"] * step for level in book[side]]
        assert prices == sorted(set(prices))
        assert 0 < len(prices) <= levels
    assert book["bids"][0]["price"] < book["asks"][0]["price"]


@pytest.mark.contract("D077")
@pytest.mark.contract("D079")
@pytest.mark.contract("D086")
@pytest.mark.parametrize(
    ("path", "most"), [("orderbook/BTCUSDT", 5000), ("candles/BTCUSDT", 1000), ("trades/BTCUSDT", 1000)]
)
def test_limits_have_bounds(market: Market, path: str, most: int) -> None:
    for limit, kind in ((0, "greater_than"), (most + 1, "less_than_equal"), ("many", "int_parsing")):
        response = market.get(path, limit=limit)
        [fault] = response.json()["detail"]
        assert response.status_code == 422
        assert "status_code" not in response.json()
        assert (fault["type"], fault["loc"], fault["input"]) == (kind, ["query", "limit"], str(limit))
    assert market.get(path, limit=most).status_code == market.get(path, limit=1).status_code == 200


@pytest.mark.contract("D078")
@pytest.mark.contract("D086")
@pytest.mark.contract("D126")
@pytest.mark.parametrize("path", ["orderbook", "trades", "candles"])
def test_an_unknown_symbol_is_not_found_and_others_are_suggested(market: Market, path: str) -> None:
    response = market.get(f"{path}/BTCUSD")
    assert response.status_code == 404
    assert list(response.json()) == ["detail", "status_code"]
    assert response.json()["status_code"] == 404
    text = response.json()["detail"]
    assert text.startswith(NOT_FOUND)
    assert text.endswith("?")
    assert len(text.partition("mean: ")[2].split(", ")) <= 3
    # Case matters.
    assert market.get(f"{path}/btcusdt").json()["detail"].startswith("Symbol btcusdt not found. Did you mean: BTCUSDT")


@pytest.mark.contract("D126")
def test_charts_are_told_of_unknown_symbols_too(market: Market) -> None:
    window = {"from": 0, "to": 1, "resolution": "1"}
    for path in ("symbols", "history", "marks"):
        body = market.get(f"udf/{path}", symbol="BTCUSD", **window).json()
        assert body["s"] == "error"
        assert body["errmsg"].startswith(f"unknown_symbol {NOT_FOUND}")


@pytest.mark.contract("D079")
@pytest.mark.contract("D086")
def test_candles_ascend_in_all_fifteen_timeframes_and_no_other(market: Market) -> None:
    for timeframe in TIMEFRAMES:
        response = market.get("candles/BTCUSDT", timeframe=timeframe, limit=5)
        assert response.status_code == 200
        candles = response.json()
        assert 0 < len(candles) <= 5
        assert all(list(candle) == CANDLE for candle in candles)
        assert all(before["timestamp"] < after["timestamp"] for before, after in pairwise(candles))
        assert all(
            candle["low"]
            <= min(candle["open"], candle["close"])
            <= max(candle["open"], candle["close"])
            <= candle["high"]
            for candle in candles
        )
    for timeframe in ("1M ", "1s", "1H", ""):
        response = market.get("candles/BTCUSDT", timeframe=timeframe)
        assert (response.status_code, response.json()) == (400, {"detail": INVALID_TIMEFRAME, "status_code": 400})
    response = market.get("candles/BTCUSDT", end="then")
    detail = "end must be Unix milliseconds or a time in ISO format"
    assert (response.status_code, response.json()) == (400, {"detail": detail, "status_code": 400})


@pytest.mark.contract("D079")
def test_candles_page_back_without_a_gap_or_double(market: Market) -> None:
    whole = market.get("candles/BTCUSDT", limit=90).json()[:-1]
    assert len(whole) == 89
    end, pages = whole[-1]["timestamp"] + 60_000, []
    for _ in range(3):
        page = market.get("candles/BTCUSDT", limit=30, end=end).json()
        pages = page + pages
        end = page[0]["timestamp"]
    assert [candle["timestamp"] for candle in pages][1:] == [candle["timestamp"] for candle in whole]
    opened = {candle["timestamp"]: candle for candle in pages}
    # All but the newest, which trades may still have come to.
    assert [opened[candle["timestamp"]] for candle in whole[:-1]] == whole[:-1]


def test_trades_are_the_exchanges_newest_each_once(still: Market) -> None:
    venue = still.venue("aggTrades", symbol="BTCUSDT", limit=100)

    def newest() -> list[dict[str, Any]]:
        return still.get("trades/BTCUSDT").json()["trades"]

    wait_until(lambda: newest()[0]["id"] == str(venue[-1]["a"]), 10, "the newest trade is shown")
    trades = newest()
    assert all(list(trade) == TRADE for trade in trades)
    assert [(trade["id"], trade["price"], trade["amount"], trade["timestamp"]) for trade in trades] == [
        (str(each["a"]), float(each["p"]), float(each["q"]), each["T"]) for each in reversed(venue)
    ]
    assert [trade["side"] for trade in trades] == ["sell" if each["m"] else "buy" for each in reversed(venue)]
    since = trades[9]["timestamp"]
    newer = still.get("trades/BTCUSDT", since=since).json()["trades"]
    assert newer == [trade for trade in trades if trade["timestamp"] >= since]


def test_many_clients_cost_the_exchange_few_requests(market: Market) -> None:
    def fetch(number: int) -> int:
        return market.get("orderbook/ETHUSDT", limit=51 + number % 50).status_code

    market.exchange.tell("requests")
    began = time.monotonic()
    with ThreadPoolExecutor(8) as clients:
        assert set(clients.map(fetch, range(200))) == {200}
    assert 1 <= market.exchange.get("requests")["/fapi/v1/depth"] <= 1 + time.monotonic() - began


def test_a_chart_reads_the_exchange_through_udf(market: Market) -> None:
    chart = Chart(lambda name, parameters: market.get(f"udf/{name}", **parameters).text)
    [found, *_] = chart.ask("search", query="BTCUSDT", type="", exchange="", limit=30)
    info = chart.symbol(found["ticker"])
    assert info["pricescale"] >= 1
    now_s = chart.clock_s()
    for resolution, timeframe in zip(chart.config["supported_resolutions"], TIMEFRAMES, strict=True):
        bars, _ = chart.bars(info["ticker"], resolution, to=now_s + 1, countback=3)
        candles = market.get("candles/BTCUSDT", timeframe=timeframe).json()
        assert bars
        assert {bar.time_s * 1000 for bar in bars[:-1]} <= {candle["timestamp"] for candle in candles}


def test_a_large_liquidation_becomes_a_mark_on_its_bar(market: Market) -> None:
    market.exchange.tell("inject", s="ETHUSDT", S="SELL", q="77", p="3000")
    chart = Chart(lambda name, parameters: market.get(f"udf/{name}", **parameters).text)
    now_s = chart.clock_s()

    def texts() -> list[str]:
        marks = chart.marks("BINANCE:ETHUSDT", "1D", now_s - 86_400, now_s)
        assert all(mark["time"] % 86_400 == 0 for mark in marks)
        return [mark["text"].partition(",0")[0] for mark in marks]

    wait_until(lambda: any(text.startswith("Long liquidated: 231") for text in texts()), 20, "it is stored and shown")


def test_an_exchange_in_trouble_is_a_503_that_says_when_to_try_again(market: Market) -> None:
    market.exchange.tell("rest", status=503, seconds=5)
    response = market.get("orderbook/BNBUSDT")
    detail = "Failed to fetch order book for BNBUSDT: the exchange cannot be reached"
    assert (response.status_code, response.json()) == (503, {"detail": detail, "status_code": 503})
    assert int(response.headers["Retry-After"]) >= 1
    market.exchange.tell("rest", status=503, seconds=0)
    wait_until(lambda: market.get("orderbook/BNBUSDT").status_code == 200, 10, "the exchange is asked again")
