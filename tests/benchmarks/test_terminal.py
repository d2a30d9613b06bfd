"""How old what terminals saw is found to be, and what of it to be wrong."""

import asyncio
import json
import math
from array import array
from decimal import Decimal
from typing import Any

import pytest

from benchmarks.sockets import Socket
from benchmarks.terminal_notes import (
    AggTrade,
    BookTruth,
    CandlesTruth,
    Exchange,
    Notes,
    OrdersTruth,
    SocketNotes,
    TradesTruth,
    Window,
    figures,
    frames_seen,
)
from marketdata.types import DepthDelta, DepthSnapshot

MINUTE = 60_000_000  # ms, the opening of some minute
OFFSET = 400.0  # ms that our clock is before the exchange's
WINDOW = Window(MINUTE, MINUTE + 200_000)
# At 0, 10, 70 and 80 seconds.
TRADES = [
    AggTrade(id, MINUTE + at_ms + OFFSET, MINUTE + at_ms, Decimal(quantity), 2 * id)
    for id, at_ms, quantity in ((5, 0, "1.1"), (6, 10_000, "2.2"), (7, 70_000, "0.1"), (8, 80_000, "0.2"))
]


def trades_frame(*ids: int) -> dict[str, Any]:
    return {"type": "trades_update", "timestamp": 0, "trades": [{"id": str(id)} for id in ids]}


def candle_frame(open_ms: int, volume: float) -> dict[str, Any]:
    return {"type": "candle_update", "timestamp": open_ms, "volume": volume, "stream_timestamp": open_ms}


def order_frame(at_ms: int) -> dict[str, Any]:
    return {"type": "liquidation_order", "data": {"symbol": "BTCUSDT", "timestamp": at_ms}}


def test_a_list_is_as_old_as_its_newest_trade() -> None:
    truth = TradesTruth(TRADES)

    assert truth.look(trades_frame(6, 5)).event_ms == MINUTE + 10_000 + OFFSET
    # From before anything was noted.
    assert math.isnan(truth.look(trades_frame(4, 3)).event_ms)


@pytest.mark.parametrize(
    ("lists", "faults"),
    [
        ([[4], [6, 5, 4], [8, 7, 6]], 0),
        ([[4], [5, 4], [8, 7]], 1),
        ([[4], [7, 5, 4], [8, 7]], 1),
        ([[4], [6, 5, 4]], 2),
        ([[4], [6, 5, 5, 4], [8, 7]], 1),
        ([], 4),
    ],
)
def test_trades_that_no_list_shows_are_faults_and_those_that_one_shows_twice(
    lists: list[list[int]], faults: int
) -> None:
    truth = TradesTruth(TRADES)

    assert truth.faults([truth.look(trades_frame(*ids)) for ids in lists], WINDOW) == faults


def test_a_candle_is_as_old_as_the_trade_that_made_its_volume_and_counts_once() -> None:
    truth = CandlesTruth(TRADES, {}, OFFSET)

    assert truth.look(candle_frame(MINUTE, 3.3)).event_ms == MINUTE + 10_000 + OFFSET
    assert math.isnan(truth.look(candle_frame(MINUTE, 3.3)).event_ms)
    assert math.isnan(truth.look(candle_frame(MINUTE, 9.9)).event_ms)


def test_a_minute_that_had_begun_goes_on_from_the_kline() -> None:
    truth = CandlesTruth(TRADES, {MINUTE: (Decimal("7.7"), 10)}, OFFSET)

    assert truth.look(candle_frame(MINUTE, 9.9)).event_ms == MINUTE + 10_000 + OFFSET


def test_a_minute_that_was_left_before_its_last_trade_is_a_fault() -> None:
    truth = CandlesTruth(TRADES, {}, OFFSET)
    whole = [truth.look(candle_frame(MINUTE, 3.3)), truth.look(candle_frame(MINUTE + 60_000, 0.3))]

    assert truth.faults(whole, WINDOW) == 0
    assert truth.faults(whole[:1], WINDOW) == 1
    # The second minute is not over before the end.
    assert truth.faults(whole[:1], Window(MINUTE, MINUTE + 100_000)) == 0


def test_an_order_is_to_come_once() -> None:
    truth = OrdersTruth({("BTCUSDT", MINUTE): MINUTE + 5.0, ("BTCUSDT", MINUTE + 1): MINUTE + 6.0})
    seen = [truth.look(order_frame(MINUTE)), truth.look(order_frame(MINUTE + 1))]

    assert [each.event_ms for each in seen] == [MINUTE + 5, MINUTE + 6]
    assert truth.faults(seen, WINDOW) == 0
    assert truth.faults(seen[:1], WINDOW) == 1
    assert truth.faults([*seen, seen[0]], WINDOW) == 1


def book_truth() -> BookTruth:
    """One bid at 100 and one ask at 101; 1 s later the ask has moved to 102, 2 s later back."""
    ask, next_ask = Decimal(101), Decimal(102)
    bids = [(Decimal(100), Decimal(1))]
    snapshot = DepthSnapshot(
        venue="binance", symbol="BTCUSDT", last_update_id=10, bids=bids, asks=[(ask, Decimal(1))], event_ms=MINUTE
    )
    changes = [(ask, Decimal(0)), (next_ask, Decimal(2))], [(ask, Decimal(1)), (next_ask, Decimal(0))]
    deltas = [
        (
            MINUTE + 1000.0 * place,
            DepthDelta(
                venue="binance",
                symbol="BTCUSDT",
                first_id=10 + place,
                final_id=10 + place,
                previous_final_id=9 + place,
                bids=[],
                asks=asks,
                event_ms=MINUTE,
            ),
        )
        for place, asks in enumerate(changes, 1)
    ]
    return BookTruth(snapshot, deltas, [Decimal(1)])


def book_frame(ask: float, amount: float, made_ms: int) -> dict[str, Any]:
    bids, asks = (
        [{"price": price, "amount": size, "cumulative": size, "price_formatted": ""}]
        for price, size in ((100.0, 1.0), (ask, amount))
    )
    return {"type": "orderbook_update", "rounding": 1.0, "timestamp": made_ms, "bids": bids, "asks": asks}


def test_a_book_is_as_old_as_the_update_after_which_it_was_so() -> None:
    truth = book_truth()

    assert truth.look(book_frame(102.0, 2.0, MINUTE + 1100)).event_ms == MINUTE + 1000
    assert truth.look(book_frame(101.0, 1.0, MINUTE + 2100)).event_ms == MINUTE + 2000


def test_a_book_that_never_was_is_a_fault_and_so_is_a_last_one_that_is_not_shown() -> None:
    truth = book_truth()
    first, last = book_frame(102.0, 2.0, MINUTE + 1100), book_frame(101.0, 1.0, MINUTE + 2100)

    assert truth.faults([truth.look(first), truth.look(last)], WINDOW) == 0
    assert truth.faults([truth.look(first)], WINDOW) == 1
    assert truth.faults([truth.look(book_frame(101.0, 2.0, MINUTE + 1100)), truth.look(last)], WINDOW) == 1
    # It was so, but only later.
    assert truth.faults([truth.look(book_frame(101.0, 1.0, MINUTE + 1500)), truth.look(last)], WINDOW) == 1


def test_what_was_read_in_the_window_is_measured() -> None:
    exchange = Exchange([], {}, {}, OFFSET)
    frames = [
        json.dumps(frame).encode() for frame in ({"e": "depthUpdate", "E": MINUTE}, {"type": "error", "message": "no"})
    ]
    times = [MINUTE - 1.0, MINUTE + OFFSET + 7, MINUTE + OFFSET + 9, MINUTE + 300_000]
    socket = SocketNotes(0, array("d", [time / 1000 for time in times]).tobytes(), array("L", [0, 0, 0, 1]).tobytes())

    seen = frames_seen(frames, exchange, {})
    found = figures(Notes(frames, [socket]), seen, [socket, socket], WINDOW)

    assert seen[1].kind == "error: no"
    assert list(found) == ["depthUpdate"]
    assert (found["depthUpdate"].frames, found["depthUpdate"].bytes) == (4, 4 * len(frames[0]))
    assert found["depthUpdate"].quantile(1) == pytest.approx(9, abs=0.01)


class Heard(Socket):
    def __init__(self) -> None:
        super().__init__(b"")
        self.heard: list[bytes] = []

    def take(self, frame: bytes, now_s: float) -> None:
        self.heard.append(frame)


class Written:
    """A transport."""

    def __init__(self) -> None:
        self.bytes = b""

    def write(self, data: bytes) -> None:
        self.bytes += data


@pytest.mark.parametrize("size", [1, 3, 1000])
def test_frames_are_read_however_they_are_cut_and_pings_answered(size: int) -> None:
    async def heard() -> tuple[list[bytes], bytes]:
        client, transport = Heard(), Written()
        client.connection_made(transport)  # pyright: ignore[reportArgumentType]
        long = b"\x81\x7e\x00\xc8" + 200 * b"x"
        received = b"HTTP/1.1 101 Switching\r\n\r\n\x81\x02hi\x89\x01p" + long
        for at in range(0, len(received), size):
            client.data_received(received[at : at + size])
        return client.heard, transport.bytes

    assert asyncio.run(heard()) == ([b"hi", 200 * b"x"], b"\x8a\x81\x00\x00\x00\x00p")
