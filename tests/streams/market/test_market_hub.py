"""What a web process says to collectors, and what it makes of what they publish."""

import asyncio
import json
import time
from contextlib import suppress
from decimal import Decimal
from typing import Any

import pytest

from marketdata.books.parameters import BookParameters
from streams.market.books import BookReplica
from streams.market.hub import MarketHub
from streams.market.replica import QUIET_S
from streams.market.trades import TradesReplica
from streams.market_messages import FeedKind, FeedState, NewTrades, Tape
from tests.streams.market.collector import BTC, SYMBOL, Reader, Wire, delta, feed, run, snapshot, trade
from tests.streams.simulator.running import until

BOOK, TRADES = feed(FeedKind.BOOK), feed(FeedKind.TRADES)
ONE = BookParameters(5, Decimal("0.1"))


def book_of(hub: MarketHub) -> BookReplica:
    return hub.acquire(BOOK, lambda feed: BookReplica(feed, BTC))


def trades_of(hub: MarketHub) -> TradesReplica:
    return hub.acquire(TRADES, lambda feed: TradesReplica(feed, BTC))


async def bid_of(reader: Reader) -> float:
    return json.loads(await reader.next())["bids"][0]["amount"]


def test_the_first_user_says_that_a_feed_is_wanted_and_the_last_that_it_is_not() -> None:
    async def scenario(wire: Wire, hub: MarketHub) -> None:
        first, second = book_of(hub), book_of(hub)
        assert first is second
        wanted = await wire.demand(lambda demand: bool(demand.feeds))
        assert (wanted.process, wanted.feeds, wanted.lacks) == (hub.process, [BOOK], [BOOK])
        hub.release(BOOK)
        assert hub.replicas
        hub.release(BOOK)
        gone = await wire.demand(lambda demand: not demand.feeds)
        assert (gone.process, gone.lacks) == (hub.process, [])

    run(scenario)


def test_what_is_wanted_is_said_again_and_again() -> None:
    async def scenario(wire: Wire, hub: MarketHub) -> None:
        book_of(hub)
        for _ in range(3):
            assert (await wire.demand(lambda demand: bool(demand.feeds))).feeds == [BOOK]

    run(scenario)


def test_a_hub_that_stops_wants_nothing_any_more() -> None:
    async def scenario(wire: Wire, hub: MarketHub) -> None:
        book_of(hub)
        await wire.demand(lambda demand: bool(demand.feeds))
        await hub.stop()
        await wire.demand(lambda demand: not demand.feeds)

    run(scenario)


def test_a_hub_stops_also_where_a_library_has_swallowed_the_cancellation() -> None:
    async def deaf() -> None:
        with suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        await asyncio.Event().wait()

    async def scenario() -> None:
        hub = MarketHub()
        hub.tasks = [asyncio.create_task(deaf())]
        await asyncio.sleep(0)
        async with asyncio.timeout(5):
            await hub.stop()

    asyncio.run(scenario())


def test_a_book_is_shown_from_its_snapshot_on_and_after_each_change() -> None:
    async def scenario(wire: Wire, hub: MarketHub) -> None:
        replica, reader = book_of(hub), Reader()
        await wire.demand(lambda demand: bool(demand.lacks))
        outgoing: Any = reader
        replica.join(ONE, outgoing)
        await wire.publish(BOOK, snapshot(10))
        assert await bid_of(reader) == 1
        await wire.publish(BOOK, delta(10, 12))
        assert await bid_of(reader) == 2
        late: Any = Reader()
        replica.join(ONE, late)
        # At once, without another word of the collector.
        assert await bid_of(late) == 2

    run(scenario)


def test_many_changes_make_at_most_ten_frames_a_second_and_the_last_is_the_newest() -> None:
    async def scenario(wire: Wire, hub: MarketHub) -> None:
        replica, reader = book_of(hub), Reader()
        await wire.demand(lambda demand: bool(demand.lacks))
        outgoing: Any = reader
        replica.join(ONE, outgoing)
        await wire.publish(BOOK, snapshot(0))
        await bid_of(reader)
        began = time.monotonic()
        for number in range(100):
            await wire.publish(BOOK, delta(number, number + 1, str(number + 1)))
            await asyncio.sleep(0.01)
        passed_s = time.monotonic() - began
        await asyncio.sleep(0.3)
        frames = [json.loads(reader.frames.get_nowait()) for _ in range(reader.frames.qsize())]
        assert 2 <= len(frames) <= passed_s * 10 + 3
        assert frames[-1]["bids"][0]["amount"] == 100

    run(scenario)


def test_a_missed_change_has_the_book_asked_for_again() -> None:
    async def scenario(wire: Wire, hub: MarketHub) -> None:
        replica, reader = book_of(hub), Reader()
        await wire.demand(lambda demand: bool(demand.lacks))
        outgoing: Any = reader
        replica.join(ONE, outgoing)
        await wire.publish(BOOK, snapshot(10))
        await bid_of(reader)
        await wire.publish(BOOK, delta(12, 13))
        await wire.demand(lambda demand: demand.lacks == [BOOK])
        await wire.publish(BOOK, snapshot(13, bid="99.0"))
        assert json.loads(await reader.next())["bids"][0]["price"] == 99

    run(scenario)


def test_a_fault_in_one_feed_does_not_stop_the_clock_of_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(wire: Wire, hub: MarketHub) -> None:
        book, trades = book_of(hub), trades_of(hub)
        ticks: list[float] = []

        def fail(now_s: float) -> None:
            raise ValueError("a fault of our own")

        monkeypatch.setattr(book, "tick", fail)
        monkeypatch.setattr(trades, "tick", ticks.append)
        await until(lambda: len(ticks) > 3)

    run(scenario)


def test_a_feed_is_joined_again_where_the_layer_has_failed_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(wire: Wire, hub: MarketHub) -> None:
        book_of(hub)
        await wire.demand(lambda demand: demand.feeds == [BOOK])
        add, failed = hub.layer.group_add, []

        async def failing(group: str, channel: str) -> None:
            await add(group, channel)
            if not failed:
                failed.append(channel)
                hub.channel = await hub.layer.new_channel()
                hub.joined.clear()

        monkeypatch.setattr(hub.layer, "group_add", failing)
        trades_of(hub)
        await until(lambda: bool(failed))
        assert hub.joined == set()
        hub.changed.set()
        await until(lambda: hub.joined == {BOOK, TRADES})

    run(scenario)


def test_onlookers_are_told_once_that_a_book_is_not_live_and_see_it_again_when_it_is() -> None:
    async def scenario(wire: Wire, hub: MarketHub) -> None:
        replica, reader = book_of(hub), Reader()
        await wire.demand(lambda demand: bool(demand.lacks))
        outgoing: Any = reader
        replica.join(ONE, outgoing)
        await wire.publish(BOOK, snapshot(10))
        await bid_of(reader)
        lost = FeedState(kind=FeedKind.BOOK, symbol=SYMBOL, reason="the connection was lost")
        for _ in range(2):
            await wire.publish(BOOK, lost)
        assert json.loads(await reader.next()) == {
            "type": "error",
            "message": "Error streaming order book for BTC/USDT:USDT: the connection was lost",
        }
        await wire.publish(BOOK, snapshot(20))
        assert await bid_of(reader) == 1

    run(scenario)


def test_a_collector_that_says_nothing_is_asked_and_then_missed() -> None:
    async def scenario(wire: Wire, hub: MarketHub) -> None:
        replica, reader = book_of(hub), Reader()
        outgoing: Any = reader
        await wire.publish(BOOK, snapshot(10))
        replica.take(snapshot(10))
        replica.join(ONE, outgoing)
        await bid_of(reader)
        assert not replica.lacks_beginning
        replica.tick(time.monotonic() + QUIET_S + 1)
        assert replica.lacks_beginning
        replica.tick(time.monotonic() + 2 * QUIET_S + 1)
        assert "no collector answers" in await reader.next()

    run(scenario)


def test_trades_are_joined_to_the_tape_and_none_is_lost_or_doubled() -> None:
    async def scenario(wire: Wire, hub: MarketHub) -> None:
        replica = trades_of(hub)
        await wire.demand(lambda demand: bool(demand.lacks))
        await wire.publish(TRADES, NewTrades(symbol=SYMBOL, trades=[trade(149), trade(150)]))
        await wire.publish(TRADES, Tape(symbol=SYMBOL, trades=[trade(id) for id in range(1, 150)]))
        async with asyncio.timeout(5):
            await replica.is_seeded.wait()
        new, whole = Reader(), Reader()
        only_new: Any = new
        everything: Any = whole
        replica.join(only_new, only_new=True)
        replica.join(everything, only_new=False)
        for reader in (new, whole):
            first = json.loads(await reader.next())
            ids = [int(each["id"]) for each in first["trades"]]
            assert (first["initial"], ids) == (True, list(range(ids[0], ids[0] - 100, -1)))
        seen = ids[0]
        await wire.publish(TRADES, NewTrades(symbol=SYMBOL, trades=[trade(id) for id in range(150, 153)]))
        await wire.publish(TRADES, NewTrades(symbol=SYMBOL, trades=[trade(id) for id in range(155, 157)]))
        await wire.demand(lambda demand: demand.lacks == [TRADES])
        await wire.publish(TRADES, Tape(symbol=SYMBOL, trades=[trade(id) for id in range(100, 157)]))
        got: list[int] = []
        while seen + len(got) < 156:
            frame = json.loads(await new.next())
            assert frame["initial"] is False
            got += [int(each["id"]) for each in reversed(frame["trades"])]
        assert got == list(range(seen + 1, 157))
        newest = 0
        while newest < 156:
            listed = [int(each["id"]) for each in json.loads(await whole.next())["trades"]]
            newest = listed[0]
            assert listed == list(range(newest, newest - 100, -1))

    run(scenario)
