"""What replicas make of trouble: of a collector that is away, of clients that are slow, and of faults of our own."""

import asyncio
import json
from collections.abc import Callable
from decimal import Decimal
from threading import Event
from typing import Any

import pytest

from marketdata.books.parameters import BookParameters
from marketdata.candles.history import candles_between
from marketdata.errors import VenueUnavailable
from marketdata.types import Candle
from streams.market import candles
from streams.market.books import HEAVY_LIMIT, BookReplica
from streams.market.candles import CandleReplica, Chart
from streams.market.hub import MarketHub
from streams.market.ranges import MAX_CANDLES
from streams.market.replica import OTHERS_S, QUIET_S
from streams.market.trades import TradesReplica
from streams.market_messages import FeedKind, FeedState, LiveCandles, NewTrades, Tape
from tests.backend import sqlite_only
from tests.streams.market.collector import BTC, SYMBOL, Reader, SlowClient, Wire, delta, feed, run, snapshot, trade
from tests.streams.simulator.running import until

pytestmark = sqlite_only("replicas use no database")

HEAVY = BookParameters(HEAVY_LIMIT, Decimal("0.1"))
MINUTE_MS = 60_000


def candle(number: int, close: int, *, is_closed: bool = False, volume: int = 1) -> Candle:
    return Candle(
        venue="binance",
        symbol=SYMBOL,
        timeframe="1m",
        open_ms=number * MINUTE_MS,
        open=Decimal(1),
        high=Decimal(100),
        low=Decimal(1),
        close=Decimal(close),
        volume=Decimal(volume),
        is_closed=is_closed,
    )


def all_of(reader: Reader) -> list[dict[str, Any]]:
    return [json.loads(reader.frames.get_nowait()) for _ in range(reader.frames.qsize())]


def seeded_trades(*, only_new: bool) -> tuple[TradesReplica, Reader]:
    replica, reader = TradesReplica(feed(FeedKind.TRADES), BTC), Reader()
    replica.take(Tape(symbol=SYMBOL, trades=[trade(1)]))
    outgoing: Any = reader
    replica.join(outgoing, only_new=only_new)
    all_of(reader)
    return replica, reader


def test_onlookers_of_trades_are_told_once_for_as_long_as_the_collector_has_none() -> None:
    async def scenario() -> None:
        replica, reader = seeded_trades(only_new=True)
        lost = FeedState(kind=FeedKind.TRADES, symbol=SYMBOL, reason="the connection was lost")
        for _ in range(3):
            replica.take(lost)
            replica.tick(replica.heard_s + OTHERS_S + 0.1)
            replica.tick(replica.heard_s + QUIET_S + 1)
        assert [frame["message"] for frame in all_of(reader)] == [
            "Error streaming trades for BTC/USDT:USDT: the connection was lost"
        ]
        replica.take(NewTrades(symbol=SYMBOL, trades=[trade(2)]))
        assert replica.fault == ""
        replica.take(lost)
        replica.tick(replica.heard_s + OTHERS_S + 0.1)
        assert [frame["type"] for frame in all_of(reader)] == ["trades_update", "error"]

    asyncio.run(scenario())


def test_who_is_sent_new_trades_alone_gets_all_of_them_however_many_come_at_once() -> None:
    async def scenario() -> None:
        replica, reader = seeded_trades(only_new=True)
        replica.take(Tape(symbol=SYMBOL, trades=[trade(id) for id in range(1, 252)]))
        frames = all_of(reader)
        assert [len(frame["trades"]) for frame in frames] == [100, 100, 50]
        ids = [int(each["id"]) for frame in frames for each in reversed(frame["trades"])]
        assert ids == list(range(2, 252))

    asyncio.run(scenario())


def test_who_is_sent_new_trades_alone_is_told_which_are_not_to_be_had() -> None:
    async def scenario() -> None:
        replica, reader = seeded_trades(only_new=True)
        replica.take(NewTrades(symbol=SYMBOL, trades=[trade(6)]))
        replica.take(Tape(symbol=SYMBOL, trades=[trade(1), trade(2), trade(6), trade(7)]))
        before, error, after = all_of(reader)
        assert [each["id"] for each in before["trades"]] == ["2"]
        assert error["message"] == "Error streaming trades for BTC/USDT:USDT: 3 trades are missing here"
        assert [each["id"] for each in after["trades"]] == ["7", "6"]
        replica.take(NewTrades(symbol=SYMBOL, trades=[trade(8)]))
        assert [frame["type"] for frame in all_of(reader)] == ["trades_update"]

    asyncio.run(scenario())


@pytest.mark.parametrize("count", [3, 400])
def test_what_came_before_the_first_trade_may_come_late(count: int) -> None:
    """The collector has begun without history, and been told it since."""

    async def scenario() -> None:
        replica, reader = TradesReplica(feed(FeedKind.TRADES), BTC), Reader()
        outgoing: Any = reader
        replica.take(Tape(symbol=SYMBOL, trades=[]))
        replica.join(outgoing, only_new=False)
        replica.take(NewTrades(symbol=SYMBOL, trades=[trade(1000)]))
        replica.take(Tape(symbol=SYMBOL, trades=[trade(id) for id in range(1001 - count, 1001)]))
        replica.take(NewTrades(symbol=SYMBOL, trades=[trade(1001)]))
        await reader.next()
        newest = list(range(1001, 1001 - count - 1, -1))[:100]
        assert [int(each["id"]) for each in json.loads(await reader.next())["trades"]] == newest
        assert len(replica.tape.kept) == count + 1
        replica.close()

    asyncio.run(scenario())


def live_book() -> tuple[BookReplica, Reader]:
    replica, reader = BookReplica(feed(FeedKind.BOOK), BTC), Reader()
    outgoing: Any = reader
    replica.join(BookParameters(5, Decimal("0.1")), outgoing)
    replica.take(snapshot(10))
    return replica, reader


def test_onlookers_are_told_that_an_update_was_missed_unless_the_book_is_right_again_soon() -> None:
    async def scenario() -> None:
        replica, reader = live_book()
        assert json.loads(await reader.next())["type"] == "orderbook_update"
        began_s = replica.heard_s
        for number in range(30):
            replica.take(delta(20 + number, 21 + number))
            replica.tick(began_s + number / 10)
        (error,) = all_of(reader)
        assert error["message"].startswith("Error streaming order book for BTC/USDT:USDT: ")
        # What came meanwhile leads on from the book that is sent then.
        replica.take(snapshot(35))
        assert (replica.fault, replica.sync.book.last_update_id) == ("", 50)
        replica.take(delta(60, 61))
        replica.tick(replica.heard_s + 1.9)
        replica.take(snapshot(61))
        replica.tick(replica.heard_s + 3)
        assert all(frame["type"] == "orderbook_update" for frame in all_of(reader))
        replica.close()

    asyncio.run(scenario())


def test_a_slow_client_is_sent_no_book_from_before_the_error() -> None:
    client = SlowClient()

    async def scenario() -> None:
        replica = BookReplica(feed(FeedKind.BOOK), BTC)
        replica.join(BookParameters(5, Decimal("0.1")), client.outgoing)
        replica.take(snapshot(10))
        await until(lambda: replica.flushing is None)
        replica.take(delta(10, 11))
        await until(lambda: replica.flushing is None)
        assert client.outgoing.newest is not None
        replica.lose("the connection was lost")
        await client.read()

    asyncio.run(scenario())
    assert [json.loads(text)["type"] for text in client.sent] == ["orderbook_update", "error"]


def test_that_there_is_nothing_to_show_is_said_once() -> None:
    async def scenario() -> None:
        replica, reader = BookReplica(feed(FeedKind.BOOK), BTC), Reader()
        outgoing: Any = reader
        replica.take(snapshot(10))
        replica.join(BookParameters(5, Decimal(100_000)), outgoing)
        for id in range(10, 13):
            replica.take(delta(id, id + 1))
            await until(lambda: replica.flushing is None)
        assert [frame["type"] for frame in all_of(reader)] == ["error"]

    asyncio.run(scenario())


def test_the_error_of_a_chart_names_its_timeframe() -> None:
    async def scenario() -> None:
        replica, reader = CandleReplica(feed(FeedKind.CANDLES), BTC), Reader()
        outgoing: Any = reader
        replica.join("5m", Chart(outgoing))
        replica.lose("the connection was lost")
        (error,) = all_of(reader)
        assert error["message"] == "Error streaming candles for BTC/USDT:USDT 5m: the connection was lost"
        replica.close()

    asyncio.run(scenario())


def heavy_book(monkeypatch: pytest.MonkeyPatch, made: Callable[[BookReplica, Any], str]) -> tuple[BookReplica, Reader]:
    replica, reader = BookReplica(feed(FeedKind.BOOK), BTC), Reader()
    monkeypatch.setattr(replica, "frame_of", lambda book, parameters: made(replica, book))
    outgoing: Any = reader
    replica.join(HEAVY, outgoing)
    return replica, reader


def test_a_change_while_a_heavy_frame_is_made_is_shown_without_waiting_for_another(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    gate = Event()

    def made(replica: BookReplica, book: Any) -> str:
        gate.wait(5)
        return json.dumps(book.last_update_id)

    async def scenario() -> None:
        replica, reader = heavy_book(monkeypatch, made)
        replica.take(snapshot(10))
        await until(lambda: replica.shown[HEAVY].making is not None)
        replica.take(delta(10, 11))
        await until(lambda: replica.flushing is None)
        gate.set()
        assert [await reader.next(), await reader.next()] == ["10", "11"]

    asyncio.run(scenario())


def test_a_heavy_frame_of_a_book_that_was_lost_meanwhile_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    gate = Event()

    def made(replica: BookReplica, book: Any) -> str:
        gate.wait(5)
        return json.dumps(book.last_update_id)

    async def scenario() -> None:
        replica, reader = heavy_book(monkeypatch, made)
        replica.take(snapshot(10))
        await until(lambda: replica.shown[HEAVY].making is not None)
        replica.lose("the connection was lost")
        gate.set()
        await until(lambda: replica.shown[HEAVY].making is None)
        assert [frame["type"] for frame in all_of(reader)] == ["error"]

    asyncio.run(scenario())


def test_a_heavy_frame_that_says_again_what_was_sent_is_not_sent_again(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        replica, reader = heavy_book(monkeypatch, lambda replica, book: '"nothing to show"')
        replica.take(snapshot(10))
        await reader.next()
        replica.take(delta(10, 11))
        await until(lambda: replica.shown[HEAVY].update_id == 11)
        assert all_of(reader) == []

    asyncio.run(scenario())


def test_a_slow_client_does_not_see_a_candle_change_after_it_has_closed() -> None:
    client = SlowClient()

    async def scenario() -> None:
        chart = Chart(client.outgoing)
        chart.open(None)
        chart.take(candle(0, 1), "1 on its way")
        chart.take(candle(0, 2), "1 running")
        chart.take(candle(0, 3, is_closed=True), "1 closed")
        await client.read()

    asyncio.run(scenario())
    assert client.sent == ["1 on its way", "1 closed"]


def series_of(replica: CandleReplica, *closes: tuple[int, int]) -> None:
    """Has the replica take candles: number and close; the first word on one comes with the last on the one before."""
    before: list[Candle] = []
    for number, close in closes:
        present = [each for each in before if each.open_ms < number * MINUTE_MS] + [candle(number, close)]
        replica.take(LiveCandles(symbol=SYMBOL, candles=present, event_ms=number * MINUTE_MS))
        before = present[-1:]


async def nothing_before(function: Any, *args: Any) -> list[Candle]:
    return []


def test_a_slow_client_is_told_how_a_candle_has_ended_before_the_next_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(candles, "read_from_venue", nothing_before)
    client = SlowClient()

    async def scenario() -> None:
        replica, chart = CandleReplica(feed(FeedKind.CANDLES), BTC), Chart(client.outgoing)
        chart.open(None)
        replica.join("1m", chart)
        series_of(replica, (1, 10), (1, 11), (1, 12), (2, 13), (2, 14))
        await until(lambda: replica.series["1m"].waiting.empty())
        await client.read()
        replica.close()

    asyncio.run(scenario())
    assert [json.loads(text)["close"] for text in client.sent] == [10, 12, 14]


def test_a_history_that_is_a_moment_old_is_followed_by_the_end_of_its_last_candle(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(candles, "read_from_venue", nothing_before)

    async def scenario() -> None:
        replica, reader, late = CandleReplica(feed(FeedKind.CANDLES), BTC), Reader(), Reader()
        first: Any = reader
        chart = Chart(first)
        chart.open(None)
        replica.join("1m", chart)
        series_of(replica, (1, 10), (1, 12), (2, 13))
        while json.loads(await reader.next())["close"] != 13:
            continue
        second: Any = late
        chart = Chart(second)
        replica.join("1m", chart)
        chart.open(candle(1, 10))
        assert [frame["close"] for frame in all_of(late)] == [12, 13]
        replica.close()

    asyncio.run(scenario())


def test_of_each_candle_that_changes_before_the_history_is_sent_the_newest_word_follows_it() -> None:
    reader = Reader()
    outgoing: Any = reader
    chart = Chart(outgoing)
    for number, frame in ((0, "0"), (1, "1 first"), (1, "1 closed"), (2, "2 first"), (2, "2 newer")):
        chart.take(candle(number, 1, is_closed="closed" in frame), json.dumps(frame))
    chart.open(candle(1, 1))
    assert all_of(reader) == ["1 closed", "2 newer"]


def test_a_slow_client_is_told_how_a_candle_ended_while_its_history_was_read() -> None:
    client = SlowClient()

    async def scenario() -> None:
        chart = Chart(client.outgoing)
        chart.take(candle(1, 2), "1 ended")
        chart.take(candle(2, 3), "2 running")
        client.outgoing.put("history up to 1")
        chart.open(candle(1, 1))
        await client.read()

    asyncio.run(scenario())
    assert client.sent == ["history up to 1", "1 ended", "2 running"]


def test_a_chart_does_not_go_back_behind_its_history() -> None:
    """The venue's REST may be ahead of its streams."""
    reader = Reader()
    outgoing: Any = reader
    chart = Chart(outgoing)
    chart.take(candle(4, 1, volume=7), '"4 held"')
    chart.open(candle(5, 1, volume=3))
    for number, volume, frame in ((4, 9, "4"), (5, 2, "5 less"), (5, 3, "5 as much"), (5, 4, "5 more"), (6, 0, "6")):
        chart.take(candle(number, 1, volume=volume), json.dumps(frame))
    # The last word counts, whatever it is.
    chart.take(candle(5, 1, is_closed=True, volume=2), '"5 closed"')
    assert all_of(reader) == ["5 as much", "5 more", "6", "5 closed"]


@pytest.mark.parametrize(("venue_close", "shown"), [(12, [10, 12, 13]), (None, [10, 10, 13])])
def test_how_a_minute_has_ended_is_read_where_the_last_words_on_it_were_missed(
    monkeypatch: pytest.MonkeyPatch, venue_close: int | None, shown: list[int]
) -> None:
    """And the chart goes on where that cannot be read."""
    asked: list[Any] = []

    async def past(function: Any, *args: Any) -> list[Candle]:
        if function is not candles_between:
            return []
        asked.append(args)
        if venue_close is None:
            raise VenueUnavailable("away")
        return [candle(1, venue_close, is_closed=True)]

    monkeypatch.setattr(candles, "read_from_venue", past)

    async def scenario() -> None:
        replica, reader = CandleReplica(feed(FeedKind.CANDLES), BTC), Reader()
        outgoing: Any = reader
        chart = Chart(outgoing)
        chart.open(None)
        replica.join("1m", chart)
        for number, close in ((1, 10), (2, 13)):
            replica.take(LiveCandles(symbol=SYMBOL, candles=[candle(number, close)], event_ms=number * MINUTE_MS))
        assert [json.loads(await reader.next())["close"] for _ in shown] == shown
        assert asked == [(SYMBOL, "1m", MINUTE_MS, 2 * MINUTE_MS, MAX_CANDLES)]
        replica.close()

    asyncio.run(scenario())


def test_candles_go_on_after_a_fault_of_our_own_and_whoever_looks_on_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(candles, "RETRY_S", 0.0)
    faults = [ZeroDivisionError("a fault")]

    async def past(function: Any, *args: Any) -> list[Candle]:
        if faults:
            raise faults.pop()
        return []

    monkeypatch.setattr(candles, "read_from_venue", past)

    async def scenario() -> None:
        replica, reader = CandleReplica(feed(FeedKind.CANDLES), BTC), Reader()
        outgoing: Any = reader
        chart = Chart(outgoing)
        chart.open(None)
        replica.join("1m", chart)
        for close in (1, 2):
            replica.take(LiveCandles(symbol=SYMBOL, candles=[candle(1, close)], event_ms=MINUTE_MS))
        frames = [json.loads(await reader.next()) for _ in range(2)]
        assert [frames[0]["type"], frames[1]["close"]] == ["error", 2]
        replica.close()

    asyncio.run(scenario())


def test_what_anybody_else_sends_to_a_feeds_group_stops_nothing() -> None:
    async def scenario(wire: Wire, hub: MarketHub) -> None:
        book = feed(FeedKind.BOOK)
        replica = hub.acquire(book, lambda feed: BookReplica(feed, BTC))
        await wire.demand(lambda demand: bool(demand.lacks))
        channel = hub.channel
        for message in ({"type": "market", "data": b"?"}, {"type": "other"}):
            await wire.layer.group_send(book.group, message)
        await wire.publish(book, snapshot(10))
        await until(lambda: replica.sync.is_live)
        assert hub.channel == channel

    run(scenario)
