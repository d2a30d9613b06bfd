"""Books, klines, trades and tickers over HTTP and sockets, held against each other and what a client has seen."""

import asyncio
import json
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from email.utils import parsedate_to_datetime
from itertools import pairwise
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection

from marketdata.timeframes import MINUTE_MS, TIMEFRAMES, candle_close_ms, candle_open_ms
from streams.simulator.contracts import contracts_list
from streams.simulator.listing import listings_of
from streams.simulator.market import Market, MarketOptions
from tests.backend import sqlite_only
from tests.streams.simulator.local_book import LocalBook, OutOfSync
from tests.streams.simulator.running import SECONDS, START_MS, Running, asked, market_running, received, running

pytestmark = sqlite_only("the exchange uses no database")

BUSY = MarketOptions(trades_per_s=30, orders_per_s=0)
QUIET = MarketOptions(trades_per_s=0, orders_per_s=0.1)


async def answer(exchange: Running, path: str) -> Any:
    response = await exchange.get(f"/fapi/v1/{path}")
    assert response.status_code == 200, response.text
    return response.json()


async def taken(client: ClientConnection, is_enough: Callable[[list[Any]], bool]) -> list[Any]:
    """The messages until there are enough of them."""
    messages: list[Any] = []
    while not is_enough(messages):
        messages.append(await received(client))
    return messages


async def data_of(client: ClientConnection, count: int) -> list[Any]:
    return await taken(client, lambda messages: len(messages) == count)


async def joined(exchange: Running, client: ClientConnection, symbol: str = "BTCUSDT") -> LocalBook:
    """A book by the rules: diffs first, then the snapshot."""
    diffs = await data_of(client, 2)
    book = LocalBook(await answer(exchange, f"depth?symbol={symbol}&limit=1000"))
    for diff in diffs:
        book.take(diff)
    while not book.is_joined:
        book.take(await received(client))
    return book


async def assert_as_the_exchanges(exchange: Running, book: LocalBook, symbol: str = "BTCUSDT") -> None:
    response = await exchange.get(f"/control/book?symbol={symbol}&id={book.id}")
    assert response.status_code == 200, response.text
    theirs = response.json()
    assert theirs["lastUpdateId"] == book.id
    assert book.levels == (theirs["bids"], theirs["asks"])
    assert not book.is_crossed


@pytest.mark.parametrize("suffix", ["depth@100ms", "depth", "depth@500ms"])
def test_a_book_rebuilt_by_binances_rules_is_the_exchanges_own_level_by_level(suffix: str) -> None:
    async def main() -> None:
        async with (
            market_running(BUSY, speed=5) as exchange,
            exchange.connect(f"/public/ws/btcusdt@{suffix}", max_queue=None) as client,
        ):
            book = await joined(exchange, client)
            for _ in range(8):
                await assert_as_the_exchanges(exchange, book)
                for diff in await data_of(client, 3):
                    assert book.take(diff)

    asyncio.run(main())


def test_the_first_diff_after_a_snapshot_covers_it_even_if_nothing_was_sent_before() -> None:
    async def main() -> None:
        async with (
            market_running(BUSY, starts="when told") as exchange,
            exchange.connect("/public/ws/btcusdt@depth@100ms", max_queue=None) as client,
        ):
            await asked(client, method="LIST_SUBSCRIPTIONS", id=1)
            for _ in range(2):
                book = LocalBook(await answer(exchange, "depth?symbol=BTCUSDT&limit=1000"))
            await exchange.tell("resume")
            assert book.take(await received(client))
            await assert_as_the_exchanges(exchange, book)

    asyncio.run(main())


def test_streams_of_one_book_have_chains_of_their_own_and_best_levels_agree_at_every_id() -> None:
    async def main() -> None:
        streams = "btcusdt@depth@100ms/btcusdt@depth@500ms/btcusdt@bookTicker"
        async with (
            market_running(BUSY, speed=5) as exchange,
            exchange.connect(f"/public/stream?streams={streams}", max_queue=None) as client,
        ):
            by_stream: dict[str, list[Any]] = {name: [] for name in streams.split("/")}
            book = None
            while len(by_stream["btcusdt@depth@500ms"]) < 5:
                message = await received(client)
                by_stream[message["stream"]].append(message["data"])
                if book is None and len(by_stream["btcusdt@depth@100ms"]) == 3:
                    book = await answer(exchange, "depth?symbol=BTCUSDT&limit=5")
            for name in ("btcusdt@depth@100ms", "btcusdt@depth@500ms"):
                assert all(later["pu"] == earlier["u"] for earlier, later in pairwise(by_stream[name]))
            tickers = by_stream["btcusdt@bookTicker"]
            assert len(tickers) > 10
            for ticker in tickers[-5:]:
                theirs = (await exchange.get(f"/control/book?symbol=BTCUSDT&id={ticker['u']}")).json()
                assert [[ticker["b"], ticker["B"]], [ticker["a"], ticker["A"]]] == [
                    theirs["bids"][0], theirs["asks"][0],
                ]  # fmt: skip

    asyncio.run(main())


def test_after_a_trade_the_book_lies_about_it() -> None:
    async def main() -> None:
        async with (
            market_running(BUSY, speed=5) as exchange,
            exchange.connect("/public/ws/btcusdt@bookTicker", max_queue=None),
            exchange.connect("/market/ws/btcusdt@aggTrade", max_queue=None) as client,
        ):
            for trade in await data_of(client, 12):
                theirs = (await exchange.get("/control/book?symbol=BTCUSDT")).json()
                last = (await answer(exchange, "aggTrades?symbol=BTCUSDT&limit=1"))[0]
                after = (await exchange.get("/control/book?symbol=BTCUSDT")).json()
                if theirs["lastUpdateId"] == after["lastUpdateId"]:
                    assert float(after["bids"][0][0]) <= float(last["p"]) <= float(after["asks"][0][0])
                assert trade["a"] <= last["a"]

    asyncio.run(main())


def test_a_book_that_nobody_follows_lies_about_the_last_trade_too() -> None:
    async def main() -> None:
        async with market_running(BUSY, speed=10) as exchange:
            for _ in range(5):
                book = await answer(exchange, "depth?symbol=ETHUSDT&limit=1000")
                last = (await answer(exchange, "aggTrades?symbol=ETHUSDT&limit=1"))[0]
                if last["T"] <= book["T"]:
                    assert float(book["bids"][0][0]) <= float(last["p"]) <= float(book["asks"][0][0])
                assert min(len(book["bids"]), len(book["asks"])) >= 500
                await asyncio.sleep(0.05)

    asyncio.run(main())


def kline_of(trades: list[Any], open_ms: int, interval: str) -> list[Any]:
    """The REST kline of these trades, the plain way, as numbers."""
    end_ms = candle_close_ms(interval, open_ms)
    inside = [trade for trade in trades if open_ms <= trade["T"] < end_ms]
    prices = [float(trade["p"]) for trade in inside]
    bought = [trade for trade in inside if not trade["m"]]

    def volume(trades: list[Any]) -> float:
        return sum(float(trade["q"]) for trade in trades)

    def cash(trades: list[Any]) -> float:
        return sum(float(trade["q"]) * float(trade["p"]) for trade in trades)

    return [
        open_ms, prices[0], max(prices), min(prices), prices[-1], volume(inside), end_ms - 1, cash(inside),
        sum(trade["l"] - trade["f"] + 1 for trade in inside), volume(bought), cash(bought), 0,
    ]  # fmt: skip


def test_klines_are_the_roll_up_of_the_trades_that_a_client_has_seen() -> None:
    async def main() -> None:
        async with (
            market_running(BUSY, speed=60, symbols=3) as exchange,
            exchange.connect("/market/ws/btcusdt@aggTrade", max_queue=None) as client,
        ):
            first = await received(client)
            history = await answer(exchange, "aggTrades?symbol=BTCUSDT&limit=1000")
            trades = [first, *await taken(client, lambda seen: bool(seen) and seen[-1]["T"] > START_MS + 150_000)]
            trades = [trade for trade in history if trade["a"] < first["a"]] + trades
            assert all(later["a"] == earlier["a"] + 1 for earlier, later in pairwise(trades))
            assert all(later["f"] == earlier["l"] + 1 for earlier, later in pairwise(trades))
            begin_ms = candle_open_ms("1m", trades[0]["T"]) + MINUTE_MS
            klines = await answer(exchange, f"klines?symbol=BTCUSDT&interval=1m&startTime={begin_ms}")
            whole = [kline for kline in klines if kline[6] < trades[-1]["T"]]
            assert whole[0][0] < START_MS < whole[-1][0]
            for kline in whole:
                assert list(map(float, kline)) == pytest.approx(kline_of(trades, kline[0], "1m"), rel=1e-9)

    asyncio.run(main())


@pytest.mark.parametrize("interval", ["1m", "1h"])
def test_the_stream_of_a_kline_says_the_same_as_rest_and_closes_it_once(interval: str) -> None:
    async def main() -> None:
        start_ms = candle_open_ms("1h", START_MS) + 3_600_000 - 20_000
        market = Market(BUSY, contracts_list(3, start_ms), start_ms)
        async with (
            running(market.events(), symbols=3, listings=listings_of(market), start_ms=start_ms, speed=30) as exchange,
            exchange.connect(f"/market/ws/btcusdt@kline_{interval}", max_queue=None) as client,
        ):
            seen = await taken(client, lambda seen: sum(each["E"] > start_ms + 22_000 for each in seen) > 4)
            bodies = [each["k"] for each in seen]
            opens = [body["t"] for body in bodies]
            over = [body for body in bodies if body["x"]]
            assert opens == sorted(opens)
            assert len(over) == len(set(opens)) - 1 == 1
            assert all(later["E"] - earlier["E"] >= 250 for earlier, later in pairwise(seen) if not later["k"]["x"])
            for body in (*over, bodies[0], bodies[-1]):
                assert body["L"] - body["f"] + 1 == body["n"] > 0
            row = next(
                row
                for row in await answer(exchange, f"klines?symbol=BTCUSDT&interval={interval}&limit=10")
                if row[0] == over[0]["t"]
            )
            names = ("t", "o", "h", "l", "c", "v", "T", "q", "n", "V", "Q", "B")
            assert [over[0][name] for name in names] == row
            assert bodies[opens.index(opens[-1])]["f"] == over[0]["L"] + 1

    asyncio.run(main())


@pytest.mark.parametrize("interval", TIMEFRAMES)
def test_klines_are_asked_for_by_start_end_and_limit_as_at_binance(interval: str) -> None:
    async def main() -> None:
        async with market_running(QUIET) as exchange:
            path = f"klines?symbol=ETHUSDT&interval={interval}"
            newest = await answer(exchange, f"{path}&limit=3")
            everything = await answer(exchange, f"{path}&limit=1500")
            assert everything[-3:] == newest
            assert newest[-1][0] == candle_open_ms(interval, START_MS)
            opens = [row[0] for row in everything]
            first_ms, middle_ms = opens[-3] if len(opens) > 2 else opens[0], opens[len(opens) // 2]
            assert [row[0] for row in await answer(exchange, f"{path}&startTime={middle_ms}&limit=2")] == [
                each for each in opens if each >= middle_ms
            ][:2]
            assert [row[0] for row in await answer(exchange, f"{path}&startTime={middle_ms + 1}&limit=1")] == [
                each for each in opens if each > middle_ms
            ][:1]
            assert (await answer(exchange, f"{path}&endTime={middle_ms}&limit=1"))[0][0] == middle_ms
            within = await answer(exchange, f"{path}&startTime={first_ms}&endTime={opens[-1]}")
            assert [row[0] for row in within] == [each for each in opens if each >= first_ms]
            assert await answer(exchange, f"{path}&startTime=0&limit=1")
            assert await answer(exchange, f"{path}&endTime=1000") == []
            assert await answer(exchange, f"{path}&startTime={10**18}") == []

    asyncio.run(main())


def test_trades_are_asked_for_by_id_and_time_as_at_binance() -> None:
    async def main() -> None:
        async with market_running(QUIET) as exchange:
            path = "aggTrades?symbol=BTCUSDT"
            trades = await answer(exchange, f"{path}&limit=1000")
            assert len(trades) == 1000
            assert trades[-1]["T"] < START_MS
            assert all(later["a"] == earlier["a"] + 1 for earlier, later in pairwise(trades))
            assert await answer(exchange, path) == trades[-500:]
            assert await answer(exchange, f"{path}&fromId={trades[10]['a']}&limit=5") == trades[10:15]
            start_ms, end_ms = trades[100]["T"], trades[200]["T"]
            within = [trade for trade in trades if start_ms <= trade["T"] <= end_ms]
            assert await answer(exchange, f"{path}&startTime={start_ms}&endTime={end_ms}") == within
            assert (
                await answer(exchange, f"{path}&endTime={end_ms}&limit=7")
                == [trade for trade in trades if trade["T"] <= end_ms][-7:]
            )
            assert await answer(exchange, f"{path}&fromId={trades[-1]['a'] + 1}") == []
            oldest = await answer(exchange, f"{path}&startTime=0&limit=1")
            assert START_MS - oldest[0]["T"] > 10 * MINUTE_MS - 10_000
            assert await answer(exchange, f"{path}&fromId=1&limit=1") == oldest

    asyncio.run(main())


ERRORS = [
    ("depth?symbol=BTCUSDT&limit=51", -4021),
    ("depth?symbol=BTCUSDT&limit=many", -1100),
    ("depth?symbol=btcusdt", -1121),
    ("depth", -1102),
    ("klines?symbol=BTCUSDT&interval=7m", -1120),
    ("klines?symbol=BTCUSDT", -1102),
    ("klines?symbol=NOPE&interval=1m", -1121),
    ("klines?symbol=BTCUSDT&interval=1m&limit=1501", -1130),
    ("klines?symbol=BTCUSDT&interval=1m&limit=0", -1130),
    ("klines?symbol=BTCUSDT&interval=1m&startTime=soon", -1100),
    ("klines?symbol=BTCUSDT&interval=1m&startTime=2&endTime=1", -1023),
    ("aggTrades?symbol=BTCUSDT&limit=1001", -1130),
    ("aggTrades?symbol=BTCUSDT&startTime=0&endTime=3600001", -1127),
    ("ticker/24hr?symbol=NOPE", -1121),
    ("premiumIndex?symbol=NOPE", -1121),
]


def test_what_makes_no_sense_is_refused_with_binances_code() -> None:
    async def main() -> None:
        async with market_running(QUIET, symbols=3) as exchange:
            for path, code in ERRORS:
                response = await exchange.get(f"/fapi/v1/{path}")
                assert (response.status_code, response.json()["code"]) == (400, code), path
                assert "X-MBX-USED-WEIGHT-1M" in response.headers

    asyncio.run(main())


WEIGHTS = [
    *((f"depth?symbol=BTCUSDT&limit={limit}", weight)
      for limit, weight in ((5, 2), (10, 2), (20, 2), (50, 2), (100, 5), (500, 10), (1000, 20))),
    ("depth?symbol=BTCUSDT", 10),
    *((f"klines?symbol=BTCUSDT&interval=1m&limit={limit}", weight)
      for limit, weight in ((99, 1), (100, 2), (499, 2), (500, 5), (1000, 5), (1001, 10), (1500, 10))),
    ("klines?symbol=BTCUSDT&interval=1m", 5),
    ("aggTrades?symbol=BTCUSDT", 20),
    ("ticker/24hr?symbol=BTCUSDT", 1),
    ("ticker/24hr", 40),
    ("premiumIndex?symbol=BTCUSDT", 1),
    ("premiumIndex", 10),
]  # fmt: skip


def test_every_request_weighs_what_it_does_at_binance_and_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streams.simulator.rest.time.time", lambda: 1_000_000.0)

    async def main() -> None:
        async with market_running(QUIET, symbols=3) as exchange:
            used = 0
            for path, weight in WEIGHTS:
                response = await exchange.get(f"/fapi/v1/{path}")
                assert int(response.headers["X-MBX-USED-WEIGHT-1M"]) - used == weight, path
                used += weight
            counts = (await exchange.get("/control/requests")).json()
            assert counts["/fapi/v1/depth"] == 8
            assert counts["/fapi/v1/ticker/24hr"] == 2
            assert await exchange.tell("requests") == counts
            assert (await exchange.get("/control/requests")).json() == {}

    asyncio.run(main())


def test_tickers_tell_of_the_last_day_by_rest_and_by_stream() -> None:
    async def main() -> None:
        async with (
            market_running(BUSY, symbols=3) as exchange,
            exchange.connect("/market/stream?streams=btcusdt@ticker/!ticker@arr", max_queue=None) as client,
        ):
            one = await answer(exchange, "ticker/24hr?symbol=BTCUSDT")
            assert [each["symbol"] for each in await answer(exchange, "ticker/24hr")] == [
                "BTCUSDT",
                "ETHUSDT",
                "SOLUSDT",
            ]
            await exchange.tell("pause")
            one = await answer(exchange, "ticker/24hr?symbol=BTCUSDT")
            klines = await answer(exchange, f"klines?symbol=BTCUSDT&interval=1m&limit=1500&startTime={one['openTime']}")
            assert len(klines) == 1440
            assert float(one["quoteVolume"]) == pytest.approx(sum(float(row[7]) for row in klines))
            assert float(one["volume"]) == pytest.approx(sum(float(row[5]) for row in klines))
            assert one["count"] == sum(row[8] for row in klines) == one["lastId"] - one["firstId"] + 1
            last = (await answer(exchange, "aggTrades?symbol=BTCUSDT&limit=1"))[0]
            assert (one["lastPrice"], one["lastQty"], one["lastId"]) == (last["p"], last["q"], last["l"])
            assert float(one["priceChange"]) == pytest.approx(float(one["lastPrice"]) - float(one["openPrice"]))
            await exchange.tell("resume")
            by_stream: dict[str, Any] = {}
            while len(by_stream) < 2:
                message = await received(client)
                by_stream[message["stream"]] = message["data"]
            ticker = by_stream["btcusdt@ticker"]
            assert (ticker["e"], ticker["s"], ticker["o"]) == ("24hrTicker", "BTCUSDT", one["openPrice"])
            assert "BTCUSDT" in [each["s"] for each in by_stream["!ticker@arr"]]

    asyncio.run(main())


def test_mark_prices_are_near_the_last_price() -> None:
    async def main() -> None:
        async with (
            market_running(BUSY, symbols=5, speed=3) as exchange,
            exchange.connect("/market/stream?streams=btcusdt@markPrice/btcusdt@markPrice@1s", max_queue=None) as client,
        ):
            messages = await data_of(client, 6)
            times = [each["data"]["E"] for each in messages if each["stream"].endswith("@1s")]
            assert all(later - earlier == 1000 for earlier, later in pairwise(times))
            assert any(not each["stream"].endswith("@1s") for each in messages)
            one = await answer(exchange, "premiumIndex?symbol=BTCUSDT")
            last = (await answer(exchange, "aggTrades?symbol=BTCUSDT&limit=1"))[0]
            for text in (one["markPrice"], one["indexPrice"], messages[-1]["data"]["p"]):
                assert float(text) == pytest.approx(float(last["p"]), rel=0.01)
            assert len(await answer(exchange, "premiumIndex")) == 5

    asyncio.run(main())


def test_whoever_follows_a_quiet_symbol_sees_trades_and_all_else_has_them_too() -> None:
    async def main() -> None:
        async with (
            market_running(QUIET, speed=10) as exchange,
            exchange.connect("/market/stream?streams=solusdt@aggTrade/solusdt@kline_1m", max_queue=None) as client,
        ):
            messages = await taken(client, lambda seen: sum("aggTrade" in each["stream"] for each in seen) == 20)
            trades = [each["data"] for each in messages if "aggTrade" in each["stream"]]
            assert all(later["a"] == earlier["a"] + 1 for earlier, later in pairwise(trades))
            assert all(0 < later["E"] - earlier["E"] <= 3000 for earlier, later in pairwise(trades))
            rest = await answer(exchange, f"aggTrades?symbol=SOLUSDT&fromId={trades[0]['a']}&limit=20")
            assert rest == [{key: trade[key] for key in rest[0]} for trade in trades]
            assert any("kline" in each["stream"] for each in messages)
            before = await answer(exchange, f"aggTrades?symbol=SOLUSDT&fromId={trades[0]['a'] - 1}&limit=1")
            assert (before[0]["l"], before[0]["T"] < START_MS) == (trades[0]["f"] - 1, True)

    asyncio.run(main())


async def forced_orders(path: str | None) -> list[Any]:
    """The first forced orders of a market, of which somebody follows also ``path``."""
    options = MarketOptions(trades_per_s=20, orders_per_s=10)
    async with (
        market_running(options, speed=0, starts="when told") as exchange,
        exchange.connect("/market/ws/!forceOrder@arr", max_queue=None) as client,
        others(exchange, path),
    ):
        await exchange.tell("resume")
        return await data_of(client, 15)


@asynccontextmanager
async def others(exchange: Running, path: str | None) -> AsyncIterator[None]:
    if path is None:
        yield
        return
    async with exchange.connect(path, max_queue=None):
        await answer(exchange, "depth?symbol=BTCUSDT")
        yield


def test_the_market_is_the_same_whoever_looks_at_its_books() -> None:
    async def main() -> None:
        alone = await forced_orders(None)
        watched = await forced_orders("/public/stream?streams=btcusdt@depth@100ms/ethusdt@bookTicker")
        followed = await forced_orders("/market/stream?streams=solusdt@aggTrade/btcusdt@kline_1m")
        assert alone == watched == followed

    asyncio.run(main())


def test_the_date_of_an_answer_is_the_exchanges_time() -> None:
    async def main() -> None:
        async with market_running(QUIET, starts="when told") as exchange:
            for path in ("/fapi/v1/time", "/control/state", "/fapi/v1/nothing"):
                response = await exchange.get(path)
                assert len(response.headers.get_list("date")) == 1
                assert parsedate_to_datetime(response.headers["date"]).timestamp() == START_MS // 1000

    asyncio.run(main())


# What it does wrong on demand


def test_skipped_diffs_break_the_chain_and_a_new_snapshot_heals_it() -> None:
    async def main() -> None:
        async with (
            market_running(BUSY, speed=3) as exchange,
            exchange.connect("/public/ws/btcusdt@depth@100ms", max_queue=None) as client,
        ):
            book = await joined(exchange, client)
            told = await exchange.tell("depth_skip", symbol="BTCUSDT", count=2)
            assert told == {"streams": ["btcusdt@depth@100ms"]}
            diffs = await data_of(client, 20)
            with pytest.raises(OutOfSync):
                deque(map(book.take, diffs), maxlen=0)
            book = await joined(exchange, client)
            await assert_as_the_exchanges(exchange, book)
            assert await exchange.tell("depth_skip", symbol="ETHUSDT") == {"streams": []}

    asyncio.run(main())


def test_diffs_are_repeated_and_the_chain_goes_on() -> None:
    async def main() -> None:
        async with (
            market_running(BUSY, speed=3) as exchange,
            exchange.connect("/public/ws/btcusdt@depth@100ms", max_queue=None) as client,
        ):
            seen = await data_of(client, 5)
            await exchange.tell("depth_repeat", count=3)
            seen += await taken(client, lambda later: len({each["u"] for each in seen + later}) >= 12)
            ids = [each["u"] for each in seen]
            assert len(ids) - len(set(ids)) == 3
            once = {each["u"]: each for each in seen}
            assert all(later["pu"] == earlier["u"] for earlier, later in pairwise(once.values()))

    asyncio.run(main())


def test_skipped_trades_are_missing_on_the_stream_and_nowhere_else() -> None:
    async def main() -> None:
        async with (
            market_running(BUSY, speed=3) as exchange,
            exchange.connect("/market/ws/btcusdt@aggTrade", max_queue=None) as client,
        ):
            first = await received(client)
            assert await exchange.tell("trades_skip", count=4) == {"symbols": ["BTCUSDT"]}
            ids = [first["a"], *(each["a"] for each in await data_of(client, 20))]
            assert [later - earlier for earlier, later in pairwise(ids) if later - earlier > 1] == [5]
            rest = await answer(exchange, f"aggTrades?symbol=BTCUSDT&fromId={first['a']}&limit=25")
            assert all(later["a"] == earlier["a"] + 1 for earlier, later in pairwise(rest))

    asyncio.run(main())


def test_one_path_can_be_made_to_fail() -> None:
    async def main() -> None:
        async with market_running(QUIET) as exchange:
            state = await exchange.tell("rest", status=429, seconds=30, path="/fapi/v1/depth")
            assert (state["rest_fault"], state["path_faults"]) == (None, {"/fapi/v1/depth": 429})
            refused = await exchange.get("/fapi/v1/depth?symbol=BTCUSDT")
            assert (refused.status_code, "Retry-After" in refused.headers) == (429, True)
            assert await answer(exchange, "klines?symbol=BTCUSDT&interval=1m&limit=1")
            await exchange.tell("rest", status=429, seconds=0, path="/fapi/v1/depth")
            assert await answer(exchange, "depth?symbol=BTCUSDT&limit=5")

    asyncio.run(main())


def test_what_is_told_of_a_symbol_or_an_update_that_is_not_there_is_refused() -> None:
    async def main() -> None:
        async with market_running(QUIET) as exchange:
            for query in ("symbol=NOPE", "symbol=BTCUSDT&id=1", "", "symbol=BTCUSDT&id=last"):
                assert (await exchange.get(f"/control/book?{query}")).status_code == 400
            for command in ("depth_skip", "depth_repeat", "trades_skip"):
                refused = await exchange.http.post(f"/control/{command}", json={"symbol": "NOPE"})
                assert refused.status_code == 400

    asyncio.run(main())


def test_streams_end_with_their_followers_and_books_go_on_with_new_ones() -> None:
    async def main() -> None:
        async with market_running(BUSY, speed=3) as exchange:
            ids: list[int] = []
            for _ in range(2):
                async with exchange.connect("/public/ws/btcusdt@depth@100ms/btcusdt@bookTicker") as client:
                    ids += [each["u"] for each in await data_of(client, 3)]
                async with asyncio.timeout(SECONDS):
                    while exchange.exchange.broadcast.streams:
                        await asyncio.sleep(0.01)
            book = exchange.exchange.broadcast.listings["BTCUSDT"].book
            assert book is not None
            assert (book.watchers, book.diffs) == (0, [])
            assert ids == sorted(ids)
            assert json.loads((await exchange.get("/control/state")).content)["streams"] == 0

    asyncio.run(main())
