"""Market data on demand: the collector in this process, between the exchange simulator and a web process."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.db import connection

from marketdata.books.sync import BookSync
from marketdata.candles.models import CandleRow
from marketdata.models import InstrumentRow
from marketdata.types import DepthSnapshot, Trade
from marketdata.venue import venue_reset
from streams.collecting import books, tapes
from streams.collecting.collector import Collector, Options
from streams.demand import LINGER_S
from streams.market_messages import FORGOTTEN_S, Tape
from streams.simulator.market import MarketOptions
from tests.streams.collecting.web_process import WebProcess, book, candles, trades, web_process
from tests.streams.simulator.running import SECONDS, Running, market_running, until

FORCED_ORDERS = "!forceOrder@arr"
BOOK, TRADES, KLINES = "btcusdt@depth@100ms", "btcusdt@aggTrade", "btcusdt@kline_1m"


@pytest.fixture
def setting(settings: Any, tmp_path: Path, committed: None) -> Iterator[Callable[[Running], None]]:
    """Points the settings at an exchange."""
    settings.LIQUI_HOME, settings.LIQUI_FEED = tmp_path, "simulated"

    def use(exchange: Running) -> None:
        settings.BINANCE_WS_BASE_URL = f"ws://127.0.0.1:{exchange.port}"
        settings.BINANCE_API_BASE_URL = f"http://127.0.0.1:{exchange.port}"

    yield use
    venue_reset()


@asynccontextmanager
async def collecting(name: str = "one", haste: float = 1.0, shard: str = "1/1") -> AsyncIterator[Collector]:
    collector = Collector(Options(name, shard, haste))
    await collector.start()
    try:
        await until(lambda: collector.follower.is_connected)
        yield collector
    finally:
        await collector.stop()
    assert not collector.failed.is_set()


@asynccontextmanager
async def collected(setting: Any, *, haste: float = 1.0, **options: Any) -> AsyncIterator[tuple[Any, Any, Any]]:
    """An exchange, a collector and a web process."""
    async with market_running(**options) as exchange:
        setting(exchange)
        async with collecting(haste=haste) as collector, web_process() as web:
            yield exchange, collector, web


async def upstream(exchange: Running) -> list[str]:
    """Streams of market data that are subscribed on living connections."""
    told = (await exchange.get("/control/connections")).json()
    streams = [stream for each in told if each["closed_ms"] is None for stream in each["streams"]]
    return sorted(stream for stream in streams if stream != FORCED_ORDERS)


async def upstream_is(exchange: Running, *streams: str) -> float:
    """The seconds until the exchange has these subscribed."""
    started_s = time.monotonic()
    while await upstream(exchange) != sorted(streams):
        assert time.monotonic() - started_s < SECONDS, await upstream(exchange)
        await asyncio.sleep(0.02)
    return time.monotonic() - started_s


async def connection_of(exchange: Running, stream: str) -> int:
    told = (await exchange.get("/control/connections")).json()
    return next(each["id"] for each in told if each["closed_ms"] is None and stream in each["streams"])


async def heal(web: WebProcess, symbol: str = "BTCUSDT") -> float:
    """The seconds until the book lives."""
    started_s = time.monotonic()
    await until(lambda: web.book(symbol).is_live)
    return time.monotonic() - started_s


async def same_as_the_exchanges(exchange: Running, sync: BookSync) -> None:
    """Every level that we know is the exchange's; those beyond a snapshot's 1000 are known once they change."""
    found = sync.book.snapshot(0)
    told = (await exchange.get(f"/control/book?symbol={sync.book.symbol}&id={found.last_update_id}")).json()
    assert told["lastUpdateId"] == found.last_update_id
    for ours, theirs in ((found.bids, told["bids"]), (found.asks, told["asks"])):
        expected = [(Decimal(price), Decimal(quantity)) for price, quantity in theirs]
        assert ours[:500] == expected[:500]
        assert set(ours) <= set(expected)


def is_without_hole(ids: list[int]) -> bool:
    return all(after == before + 1 for before, after in pairwise(ids))


def test_the_first_demand_subscribes_within_a_second_and_the_last_one_to_leave_unsubscribes(setting: Any) -> None:
    async def scenario() -> None:
        async with collected(setting) as (exchange, collector, web), web_process("other") as other:
            await web.want(book(), candles())
            assert await upstream_is(exchange, BOOK, TRADES, KLINES) < 1
            await until(lambda: web.book().is_live and bool(web.candles()))
            # The second one is answered at once, and nothing more is subscribed.
            await other.want(book(), trades())
            await until(lambda: other.book().is_live and bool(other.tape()))
            assert await upstream(exchange) == sorted([BOOK, TRADES, KLINES])
            assert collector.market.subscriptions.connections == 2
            await web.want()
            await upstream_is(exchange, BOOK, TRADES)
            await other.want()
            assert LINGER_S - 0.5 < await upstream_is(exchange) < 10
            # Nothing is left on the connections for market data, so there are none.
            told = (await exchange.get("/control/connections")).json()
            assert [each["streams"] for each in told if each["closed_ms"] is None] == [[FORCED_ORDERS]]
            assert (collector.market.books, collector.market.tapes, collector.market.candles) == ({}, {}, {})

    asyncio.run(scenario())


def test_what_is_wanted_again_within_a_moment_was_never_unsubscribed(setting: Any) -> None:
    async def scenario() -> None:
        async with collected(setting) as (exchange, collector, web):
            await web.want(book())
            await heal(web)
            await web.want(book("ETHUSDT"))
            await asyncio.sleep(LINGER_S / 2)
            await web.want(book())
            await upstream_is(exchange, BOOK)
            assert collector.market.tallies.books_rebuilt == 2
            assert collector.market.subscriptions.connections == 1
            await same_as_the_exchanges(exchange, web.book())

    asyncio.run(scenario())


@pytest.mark.slow
def test_a_process_that_dies_leaves_no_subscription_within_ten_seconds(setting: Any) -> None:
    async def scenario() -> None:
        async with collected(setting) as (exchange, _, web):
            await web.want(book(), trades())
            await upstream_is(exchange, BOOK, TRADES)
            await web.die()
            assert FORGOTTEN_S - 2.5 < await upstream_is(exchange) < 10

    asyncio.run(scenario())


def test_a_follower_of_the_deltas_has_the_exchanges_book(setting: Any) -> None:
    async def scenario() -> None:
        async with collected(setting) as (exchange, collector, web):
            await web.want(book())
            await heal(web)
            for _ in range(5):
                await asyncio.sleep(0.3)
                sync = web.book()
                assert (sync.is_live, sync.gaps) == (True, 0)
                await same_as_the_exchanges(exchange, sync)
            assert len(web.heard[book()]) > 10
            assert collector.market.tallies.book_gaps == 0

    asyncio.run(scenario())


@pytest.mark.parametrize("command", [{"command": "depth_skip", "symbol": "BTCUSDT"}, {"command": "drop"}])
def test_a_book_that_missed_something_says_so_and_heals_within_five_seconds(setting: Any, command: Any) -> None:
    async def scenario() -> None:
        async with collected(setting) as (exchange, collector, web):
            await web.want(book(), book("ETHUSDT"))
            await heal(web)
            await heal(web, "ETHUSDT")
            await exchange.tell(**command)
            await until(lambda: bool(web.states(book())))
            assert await heal(web) < 5
            await heal(web, "ETHUSDT")
            await same_as_the_exchanges(exchange, web.book())
            # Of a gap, only the symbol that has it is rebuilt.
            is_gap = command["command"] == "depth_skip"
            assert bool(web.states(book("ETHUSDT"))) != is_gap
            assert collector.market.tallies.book_gaps >= is_gap

    asyncio.run(scenario())


def test_updates_that_come_twice_change_nothing(setting: Any) -> None:
    async def scenario() -> None:
        async with collected(setting) as (exchange, collector, web):
            await web.want(book())
            await heal(web)
            await exchange.tell("depth_repeat", symbol="BTCUSDT", count=5)
            await asyncio.sleep(0.5)
            assert collector.market.tallies.book_gaps == 0
            await same_as_the_exchanges(exchange, web.book())

    asyncio.run(scenario())


def test_a_book_waits_for_its_snapshot_while_the_exchange_refuses_and_says_why(setting: Any) -> None:
    async def scenario() -> None:
        async with collected(setting, haste=5) as (exchange, _, web):
            await exchange.tell("rest", status=429, seconds=2, path="/fapi/v1/depth")
            await web.want(book())
            await until(lambda: any("no more requests" in state.reason for state in web.states(book())))
            refused = (await exchange.get("/control/requests")).json()["/fapi/v1/depth"]
            assert await heal(web) < 5
            # It has waited as long as it was told to, and has not asked again and again.
            assert refused == 1
            assert (await exchange.get("/control/requests")).json()["/fapi/v1/depth"] <= 3

    asyncio.run(scenario())


def test_a_connection_that_is_mute_is_found_out_and_replaced(setting: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(books, "SILENCE_S", 1.0)
    monkeypatch.setattr(books, "IN_FLIGHT_S", 0.3)

    async def scenario() -> None:
        async with collected(setting) as (exchange, collector, web):
            await web.want(book())
            await heal(web)
            mute = await connection_of(exchange, BOOK)
            await exchange.tell("stall", seconds=SECONDS, connections=[mute])
            await until(lambda: collector.market.tallies.book_gaps > 0)
            await until(lambda: collector.market.subscriptions.connections == 2)
            heard = len(web.heard[book()])
            await until(lambda: len(web.heard[book()]) > heard + 5)
            assert await heal(web) < 5
            await same_as_the_exchanges(exchange, web.book())
            assert collector.market.subscriptions.failures == 0

    asyncio.run(scenario())


def test_a_quiet_connection_is_renewed_and_not_taken_for_broken(setting: Any, settings: Any) -> None:
    settings.COLLECTOR_SILENCE_SECONDS = 1

    async def scenario() -> None:
        options = MarketOptions(trades_per_s=0)
        async with collected(setting, options=options) as (_, collector, web):
            await web.want(trades())
            await until(lambda: collector.market.subscriptions.connections == 3)
            assert collector.market.subscriptions.failures == 0
            assert web.states(trades()) == []

    asyncio.run(scenario())


def test_a_tape_that_began_without_history_has_it_as_soon_as_the_exchange_tells_it(
    setting: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tapes, "PATIENCE_S", 0.5)

    async def scenario() -> None:
        async with collected(setting) as (exchange, collector, web):
            await exchange.tell("rest", status=503, seconds=60, path="/fapi/v1/aggTrades")
            # Trades that nobody receives.
            await web.want(book())
            await heal(web)
            await asyncio.sleep(0.5)
            await web.want(trades())
            await until(lambda: bool(web.states(trades())))
            await until(lambda: len(web.tape()) > 3)
            first = web.tape()[0].id
            whole = [message for message in web.heard[trades()] if isinstance(message, Tape)]
            assert all(len(each.trades) < 100 for each in whole)
            await exchange.tell("rest", status=503, seconds=0, path="/fapi/v1/aggTrades")
            await until(lambda: min((trade.id for trade in last_tape(web)), default=first) < first)
            assert is_without_hole([trade.id for trade in last_tape(web)])
            assert not collector.market.tapes["BTCUSDT"].lacks_history

    asyncio.run(scenario())


def last_tape(web: WebProcess) -> Sequence[Trade]:
    return [message for message in web.heard[trades()] if isinstance(message, Tape)][-1].trades


def test_trades_are_joined_to_the_past_and_go_on_without_gap_or_double_after_a_drop(setting: Any) -> None:
    async def scenario() -> None:
        async with collected(setting) as (exchange, collector, web):
            await web.want(trades())
            await until(lambda: len(web.tape()) > 20)
            await exchange.tell("trades_skip", symbol="BTCUSDT", count=3)
            await asyncio.sleep(1)
            await exchange.tell("drop", connections=[await connection_of(exchange, TRADES)])
            await until(lambda: bool(web.states(trades())))
            count = sum(isinstance(message, Tape) for message in web.heard[trades()])
            await until(lambda: sum(isinstance(message, Tape) for message in web.heard[trades()]) > count)
            before = len(web.tape())
            await until(lambda: len(web.tape()) > before + 10)
            assert is_without_hole([trade.id for trade in web.tape()])
            assert collector.market.tallies.trade_gaps == 0

    asyncio.run(scenario())


def test_trades_that_cannot_be_had_are_done_without(setting: Any) -> None:
    async def scenario() -> None:
        async with collected(setting, haste=10) as (exchange, collector, web):
            await web.want(trades())
            await until(lambda: bool(web.new_trades()))
            await exchange.tell("rest", status=503, seconds=SECONDS, path="/fapi/v1/aggTrades")
            await exchange.tell("trades_skip", symbol="BTCUSDT", count=2)
            await until(lambda: collector.market.tallies.trade_gaps == 1)
            before = len(web.new_trades())
            await until(lambda: len(web.new_trades()) > before + 5)
            ids = [trade.id for trade in web.new_trades()]
            assert sorted(set(ids)) == ids
            assert ids[-1] - ids[0] + 1 == len(ids) + 2

    asyncio.run(scenario())


def test_minutes_close_by_the_exchanges_clock_and_are_stored_without_a_hole(setting: Any) -> None:
    async def scenario() -> None:
        # A second is a minute.
        options = MarketOptions(trades_per_s=5)
        async with collected(setting, haste=10, speed=60, options=options, symbols=2) as (exchange, collector, web):
            await web.want(candles())
            await until(lambda: sum(candle.is_closed for candle in web.candles().values()) > 3)
            await exchange.tell("drop", connections=[await connection_of(exchange, TRADES)])
            closed = sum(candle.is_closed for candle in web.candles().values())
            await until(lambda: sum(candle.is_closed for candle in web.candles().values()) > closed + 3)
            await until(lambda: not collector.market.candles["BTCUSDT"].builder.needs_repair)
            await web.want()
            await until(lambda: not collector.market.candles)
            await until(lambda: not collector.closed_candles.waiting)
            assert collector.market.tallies.trade_gaps == 0
            told = await venue_klines(exchange)
            rows = await stored_candles()
            assert len(rows) > closed + 3
            assert is_without_hole([row["open_ms"] // 60_000 for row in rows])
            for row in rows:
                assert row == told[row["open_ms"]]

    asyncio.run(scenario())


@sync_to_async(thread_sensitive=False)
def stored_candles() -> list[dict[str, Any]]:
    try:
        rows = CandleRow.objects.order_by("open_ms").values("open_ms", "open", "high", "low", "close", "volume")
        return [{name: float(value) for name, value in row.items()} for row in rows]
    finally:
        connection.close()


async def venue_klines(exchange: Running) -> dict[int, dict[str, float]]:
    rows = (await exchange.get("/fapi/v1/klines?symbol=BTCUSDT&interval=1m&limit=500")).json()
    names = ("open_ms", "open", "high", "low", "close", "volume")
    return {row[0]: dict(zip(names, map(float, row), strict=False)) for row in rows}


def test_feeds_of_a_disabled_symbol_end_with_the_reason_and_come_back_with_it(setting: Any) -> None:
    async def scenario() -> None:
        async with collected(setting, haste=2) as (exchange, _, web):
            await web.want(book(), trades("ETHUSDT"))
            await heal(web)
            await set_active("BTCUSDT", is_active=False)
            await upstream_is(exchange, "ethusdt@aggTrade")
            await until(lambda: [state.reason for state in web.states(book())][-1:] == ["BTCUSDT is disabled"])
            await set_active("BTCUSDT", is_active=True)
            await until(lambda: web.book().is_live)
            await same_as_the_exchanges(exchange, web.book())

    asyncio.run(scenario())


def test_a_symbol_that_nobody_knows_is_not_subscribed_until_it_is_listed(setting: Any) -> None:
    async def scenario() -> None:
        async with collected(setting, haste=2) as (exchange, collector, web):
            await until(lambda: bool(collector.market.listing.active))
            await web.want(book("NEWUSDT"), book())
            await until(lambda: bool(web.states(book("NEWUSDT"))))
            assert web.states(book("NEWUSDT"))[0].reason == "NEWUSDT is not known"
            await upstream_is(exchange, BOOK)
            await sync_to_async(insert_plainly, thread_sensitive=False)("NEWUSDT")
            await upstream_is(exchange, BOOK, "newusdt@depth@100ms")
            # The exchange does not either, which is told without its address.
            reason = "no snapshot: the exchange does not trade it"
            await until(lambda: web.states(book("NEWUSDT"))[-1].reason == reason)

    asyncio.run(scenario())


@sync_to_async(thread_sensitive=False)
def set_active(symbol: str, *, is_active: bool) -> None:
    try:
        assert InstrumentRow.objects.filter(symbol=symbol).update(is_active=is_active) == 1
    finally:
        connection.close()


def insert_plainly(symbol: str) -> None:
    try:
        with connection.cursor() as cursor:
            cursor.execute(
                "INSERT INTO symbols (symbol, exchange, asset_type, is_active) VALUES (%s, 'binance', 'CRYPTO', 1)",
                [symbol],
            )
    finally:
        connection.close()


def test_each_symbol_belongs_to_one_shard(setting: Any) -> None:
    feeds = [book(symbol) for symbol in ("BTCUSDT", "ETHUSDT", "SOLUSDT", "XRPUSDT")]

    async def scenario() -> None:
        async with market_running(symbols=6) as exchange:
            setting(exchange)
            async with (
                collecting("one", shard="1/2") as one,
                collecting("two", shard="2/2") as two,
                web_process() as web,
            ):
                await web.want(*feeds)
                await upstream_is(exchange, *(f"{feed.symbol.lower()}@depth@100ms" for feed in feeds))
                shares = [set(each.market.books) for each in (one, two)]
                assert all(shares)
                assert not shares[0] & shares[1]
                assert shares[0] | shares[1] == {feed.symbol for feed in feeds}

    asyncio.run(scenario())


def test_two_collectors_of_one_symbol_do_no_harm(setting: Any) -> None:
    async def scenario() -> None:
        async with market_running() as exchange:
            setting(exchange)
            async with collecting("one"), collecting("two"), web_process() as web:
                await web.want(book(), trades(), candles())
                await until(lambda: web.book().is_live and len(web.new_trades()) > 20)
                assert web.book().gaps == 0
                await same_as_the_exchanges(exchange, web.book())
                assert is_without_hole([trade.id for trade in web.tape()])

    asyncio.run(scenario())


@pytest.mark.parametrize("feed", ["live", "none"])
def test_nothing_is_taken_from_a_simulated_exchange_beside_real_data(setting: Any, settings: Any, feed: str) -> None:
    settings.LIQUI_FEED = feed

    async def scenario() -> None:
        async with market_running() as exchange:
            setting(exchange)
            collector = Collector(Options("one", haste=10))
            await collector.start()
            async with web_process() as web:
                await web.want(book())
                await until(lambda: collector.market.subscriptions.failures > 1)
                await web.say([book()])
                await until(lambda: any("is a simulated exchange" in each.reason for each in web.states(book())))
                assert collector.market.tallies.frames == 0
            await collector.stop()

    asyncio.run(scenario())


def test_once_the_channel_layer_takes_messages_again_all_that_is_wanted_is_sent_whole(setting: Any) -> None:
    async def scenario() -> None:
        async with collected(setting) as (exchange, collector, web):
            await web.want(book())
            await heal(web)
            layer, is_away = collector.market.post.layer, True

            class Away:
                async def group_send(self, group: str, message: Any) -> None:
                    if is_away:
                        raise ConnectionError("Connection refused")
                    await layer.group_send(group, message)

            collector.market.post.layer = Away()
            await until(lambda: collector.market.post.dropped > 5)
            heard = len(web.heard[book()])
            is_away = False
            await until(lambda: any(isinstance(each, DepthSnapshot) for each in web.heard[book()][heard:]))
            await same_as_the_exchanges(exchange, web.book())

    asyncio.run(scenario())


def test_many_symbols_share_a_connection_and_the_status_tells_how_it_is(setting: Any) -> None:
    async def scenario() -> None:
        async with collected(setting, symbols=12) as (exchange, collector, web):
            symbols = [contract.symbol for contract in exchange.exchange.contracts]
            await web.want(*map(book, symbols))
            await until(lambda: sum(each.is_live for each in collector.market.books.values()) == 12)
            state = collector.market.state()
            assert (state.feeds, state.streams_received, state.books_live) == (12, 12, 12)
            assert collector.market.subscriptions.connections == 1

    asyncio.run(scenario())
