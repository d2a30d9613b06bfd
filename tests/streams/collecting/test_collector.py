"""The collector in this process, against the exchange simulator: what it receives, stores, publishes and admits."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from channels.layers import get_channel_layer
from django.db import OperationalError, connection
from django.test import Client

from liquidations.models import LiquidationOrder
from marketdata.clock import clock_ms
from marketdata.models import InstrumentRow
from streams.collecting import writer
from streams.collecting.collector import Collector, CollectorRuns, Options
from streams.gaps import gaps
from streams.models import CollectorStatus, OutboxOrder, StreamCoverage
from streams.simulator.rules import Limits
from streams.types import LIQUIDATIONS_GROUP, LiveOrder, live_orders_decode
from tests.streams.simulator.running import SECONDS, Running, running, until

STREAM = "!forceOrder@arr"
HASTE = 20  # pauses of 50 ms to 1.5 s, and a breaker that opens for 3 s


@pytest.fixture
def setting(settings: Any, tmp_path: Path, committed: None) -> Callable[[Running], None]:
    """Points the settings at an exchange."""
    settings.LIQUI_HOME, settings.LIQUI_FEED = tmp_path, "simulated"

    def use(exchange: Running) -> None:
        settings.BINANCE_WS_BASE_URL = f"ws://127.0.0.1:{exchange.port}"
        settings.BINANCE_API_BASE_URL = f"http://127.0.0.1:{exchange.port}"

    return use


@asynccontextmanager
async def collecting(name: str = "one", haste: float = HASTE) -> AsyncIterator[Collector]:
    collector = Collector(Options(name, haste=haste))
    await collector.start()
    try:
        yield collector
    finally:
        await collector.stop()
    assert not collector.failed.is_set()


@sync_to_async(thread_sensitive=False)
def stored_times() -> list[int]:
    try:
        return sorted(LiquidationOrder.objects.values_list("order_trade_time", flat=True))
    finally:
        connection.close()


async def inject(exchange: Running, trade_ms: int, symbol: str = "BTCUSDT") -> None:
    await exchange.tell("inject", s=symbol, S="SELL", q="1.5", p="80000.00", T=trade_ms)


async def connected(collector: Collector) -> None:
    await until(lambda: collector.follower.is_connected)


async def stored(collector: Collector, count: int) -> None:
    """Until the collector has received so many, and none of them waits."""
    await until(lambda: collector.state.received == count and collector.spool.pending == 0)


async def published(channel: str) -> list[LiveOrder]:
    message = await asyncio.wait_for(get_channel_layer().receive(channel), SECONDS)
    return live_orders_decode(message["orders"])


def test_an_order_is_stored_numbered_and_published(setting: Any) -> None:
    async def scenario() -> None:
        async with running() as exchange:
            setting(exchange)
            layer = get_channel_layer()
            channel = await layer.new_channel()
            await layer.group_add(LIQUIDATIONS_GROUP, channel)
            async with collecting() as collector:
                await connected(collector)
                await inject(exchange, 1_795_000_000_001)
                (order,) = await published(channel)
                assert (order.sequence, order.symbol, order.side) == (1, "BTCUSDT", "SELL")
                assert json.loads(order.text)["data"]["baseAsset"] == "BTC"
                await stored(collector, 1)
            await layer.group_discard(LIQUIDATIONS_GROUP, channel)
            assert await stored_times() == [1_795_000_000_001]

    asyncio.run(scenario())


def test_instruments_are_listed_when_there_are_none(setting: Any) -> None:
    async def scenario() -> None:
        async with running(symbols=7) as exchange:
            setting(exchange)
            async with collecting() as collector:
                await until(lambda: collector.tasks[3].done())

    asyncio.run(scenario())
    assert InstrumentRow.objects.count() == 7


@pytest.mark.contract("D122")
@pytest.mark.parametrize("how", [{"how": "reset"}, {"how": "close", "code": 1000}, {"how": "close", "code": 1001}])
def test_a_lost_connection_is_made_again_and_is_a_gap_also_after_a_clean_close(setting: Any, how: Any) -> None:
    async def scenario() -> None:
        async with running() as exchange:
            setting(exchange)
            async with collecting(haste=5) as collector:
                await connected(collector)
                await inject(exchange, 1)
                await stored(collector, 1)
                await exchange.tell("drop", **how)
                await until(lambda: not collector.follower.is_connected)
                assert collector.follower.fault
                await connected(collector)
                await inject(exchange, 2)
                await stored(collector, 2)
                assert collector.follower.backoff.failures == 0

    asyncio.run(scenario())
    spans = list(StreamCoverage.objects.order_by("started_ms").values_list("started_ms", "until_ms"))
    assert len(spans) == 2
    holes = gaps(STREAM, spans[0][0], spans[1][1], clock_ms())
    assert [(gap.start_ms, gap.end_ms) for gap in holes] == [(spans[0][1], spans[1][0])]
    # The first pause, a fifth of a second here, give or take a fifth.
    assert holes[0].seconds >= 0.15


def test_garbage_is_counted_and_what_follows_is_received(setting: Any) -> None:
    async def scenario() -> None:
        async with running() as exchange:
            setting(exchange)
            async with collecting(haste=1) as collector:
                await connected(collector)
                await exchange.tell("garbage")
                await inject(exchange, 1)
                await stored(collector, 1)
                assert collector.state.undecodable == 8
                assert collector.follower.connections == 1

    asyncio.run(scenario())


def test_a_connection_that_says_nothing_is_replaced_and_the_gap_begins_with_its_silence(
    setting: Any, settings: Any
) -> None:
    settings.COLLECTOR_SILENCE_SECONDS = 40

    async def scenario() -> None:
        async with running() as exchange:
            setting(exchange)
            async with collecting() as collector:
                await connected(collector)
                await inject(exchange, 1)
                await stored(collector, 1)
                await exchange.tell("stall", seconds=SECONDS)
                await until(lambda: collector.follower.connections == 2)
                await inject(exchange, 2)
                await stored(collector, 2)

    asyncio.run(scenario())
    first, second = StreamCoverage.objects.order_by("started_ms")
    # Two seconds of silence, at least, were no longer covered.
    assert second.started_ms - first.until_ms >= 2000


def test_before_its_day_is_over_another_connection_has_taken_over_and_nothing_is_missed(setting: Any) -> None:
    async def scenario() -> None:
        async with running() as exchange:
            setting(exchange)
            number = 0
            async with collecting(haste=1) as collector:
                collector.follower.times = replace(collector.follower.times, life_s=0.3, overlap_s=0.2)
                await connected(collector)
                while collector.follower.connections < 4:
                    number += 1
                    await inject(exchange, number)
                    await asyncio.sleep(0.02)
                await stored(collector, collector.state.received)
                assert collector.follower.failures == 0
            assert await stored_times() == list(range(1, number + 1))

    asyncio.run(scenario())
    spans = StreamCoverage.objects.order_by("started_ms")
    assert gaps(STREAM, spans[0].started_ms, max(span.until_ms for span in spans), clock_ms()) == []


def test_two_collectors_store_every_order_once(setting: Any) -> None:
    async def scenario() -> None:
        async with running() as exchange:
            setting(exchange)
            async with collecting("one") as one, collecting("two") as two:
                await connected(one)
                await connected(two)
                for number in range(1, 101):
                    await inject(exchange, number)
                await stored(one, 100)
                await stored(two, 100)
            assert await stored_times() == list(range(1, 101))

    asyncio.run(scenario())
    assert list(OutboxOrder.objects.order_by("sequence").values_list("sequence", flat=True)) == list(range(1, 101))


def test_a_connection_whose_subscription_is_refused_covers_nothing_and_is_tried_again(setting: Any) -> None:
    async def scenario() -> None:
        async with running(limits=Limits(streams=0)) as exchange:
            setting(exchange)
            async with collecting() as collector:
                await until(lambda: collector.follower.failures > 1)
                assert not collector.follower.is_connected
                assert (collector.follower.fault or "").endswith(
                    "refused SUBSCRIBE: Invalid request: cannot have more than 0 streams (code 2)"
                )
                assert (collector.follower.connections, collector.state.undecodable) == (0, 0)

    asyncio.run(scenario())
    assert StreamCoverage.objects.count() == 0


def test_a_second_collector_of_the_same_name_is_refused(setting: Any) -> None:
    async def scenario() -> None:
        async with running() as exchange:
            setting(exchange)
            async with collecting("one"):
                with pytest.raises(CollectorRuns, match="another process collects as 'one'"):
                    await Collector(Options("one")).start()

    asyncio.run(scenario())


@pytest.mark.contract("D123")
@pytest.mark.parametrize("feed", ["live", "none"])
def test_a_simulated_exchange_never_reaches_a_database_of_real_data(setting: Any, settings: Any, feed: str) -> None:
    settings.LIQUI_FEED = feed

    async def scenario() -> None:
        async with running() as exchange:
            setting(exchange)
            async with collecting() as collector:
                await until(lambda: "is a simulated exchange" in (collector.follower.fault or ""))
                await inject(exchange, 1)
                await until(lambda: collector.follower.failures > 1)
                assert collector.state.received == 0

    asyncio.run(scenario())
    assert LiquidationOrder.objects.count() == InstrumentRow.objects.count() == 0


@pytest.mark.contract("D123")
def test_no_key_is_sent_to_the_exchange(setting: Any) -> None:
    async def scenario() -> None:
        async with running() as exchange:
            setting(exchange)
            async with collecting() as collector:
                await connected(collector)
                (told,) = (await exchange.get("/control/connections")).json()
                assert told["url"] == "/market/stream"

    asyncio.run(scenario())


def test_while_the_database_is_away_orders_are_published_without_a_number_and_again_once_stored(
    setting: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    is_away, store = False, writer.orders_store

    def orders_store(*arguments: Any) -> Any:
        if is_away:
            raise OperationalError(2003, "Can't connect to server on 'db'")
        return store(*arguments)

    monkeypatch.setattr(writer, "orders_store", orders_store)

    async def scenario() -> None:
        nonlocal is_away
        async with running() as exchange:
            setting(exchange)
            layer = get_channel_layer()
            channel = await layer.new_channel()
            await layer.group_add(LIQUIDATIONS_GROUP, channel)
            async with collecting() as collector:
                await connected(collector)
                is_away = True
                seen: list[LiveOrder] = []
                for number in (1, 2, 3):
                    await inject(exchange, number)
                while len(seen) < 3:
                    seen += await published(channel)
                assert [(order.event_ms, order.sequence) for order in seen] == [(1, None), (2, None), (3, None)]
                assert collector.spool.pending == 3
                is_away = False
                again: list[LiveOrder] = []
                while len(again) < 3:
                    again += await published(channel)
                assert [(order.event_ms, order.sequence) for order in again] == [(1, 1), (2, 2), (3, 3)]

    asyncio.run(scenario())


def test_what_was_not_stored_when_it_stopped_is_stored_by_the_next_one(
    setting: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*arguments: Any) -> Any:
        raise OperationalError(2003, "Can't connect to server on 'db'")

    async def scenario() -> None:
        async with running() as exchange:
            setting(exchange)
            with monkeypatch.context() as patch:
                patch.setattr(writer, "orders_store", away)
                patch.setattr(Collector, "beat", away)
                async with collecting() as collector:
                    await connected(collector)
                    await inject(exchange, 1)
                    await until(lambda: collector.state.received == 1)
            assert await stored_times() == []
            async with collecting() as again:
                await until(lambda: again.writer.stored_count == 1)
                # When the first one received is known as well.
                await until(lambda: len(again.coverage.due()) == 1)
            assert await stored_times() == [1]

    asyncio.run(scenario())
    assert StreamCoverage.objects.count() == 2


@pytest.mark.contract("D124")
def test_health_tells_how_the_collectors_are(setting: Any, client: Client) -> None:
    def component(name: str) -> Any:
        return client.get("/health").json()["components"][name]

    assert component("collector")["message"] == "no collector is running"

    async def scenario() -> None:
        async with running() as exchange:
            setting(exchange)
            async with collecting() as collector:
                await connected(collector)
                await inject(exchange, 1)
                await stored(collector, 1)

    asyncio.run(scenario())
    # As it was while it ran: a collector that leaves says so.
    row = CollectorStatus.objects.get(name="one")
    assert (row.state["connected"], row.state["received"], row.state["stored"]) == (False, 1, 1)
    CollectorStatus.objects.update(state=row.state | {"connected": True})
    collector = component("collector")
    assert collector["status"] == "healthy"
    assert collector["message"].startswith("1 of 1 connected to a simulated exchange, last message ")
    assert (collector["connected"], collector["received"], collector["breaker"]) == (True, 1, "closed")
    assert collector["collectors"]["one"]["running"]
    assert component("feed")["message"].startswith("simulated data: 1 of 1 connected")
    CollectorStatus.objects.update(updated_ms=clock_ms() - 60_000)
    assert (component("collector")["status"], component("feed")["status"]) == ("unhealthy", "unhealthy")


@pytest.mark.django_db
def test_health_without_a_live_feed_has_no_collector(client: Client) -> None:
    components = client.get("/health").json()["components"]
    assert components["collector"] == {"status": "disabled", "message": "no collector configured"}
    assert components["feed"]["status"] == "disabled"
