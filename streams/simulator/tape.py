"""The tape of one symbol: its latest trades, and 1m klines of all since the start.

It is told of every trade, whether anybody follows it or not, because somebody may ask later: so it has to be quick, and
what it keeps small.
"""

import struct
from collections import deque
from typing import NamedTuple

from streams.simulator.kinds import AggTrade
from streams.simulator.klines import MINUTE_MS, Kline, Minutes
from streams.simulator.steps import Steps

MAX_FILLS = 2000
PACKED = struct.Struct("<qqqqIq?")
pack = PACKED.pack


class Fill(NamedTuple):
    """An aggregate trade in whole steps; its single trades are ``trades`` from ``first_id`` on."""

    id: int
    ticks: int
    lots: int
    first_id: int
    trades: int
    time_ms: int
    is_sell: bool  # by the taker

    @property
    def last_id(self) -> int:
        return self.first_id + self.trades - 1

    @property
    def minute(self) -> int:
        return self.time_ms // MINUTE_MS

    def packed(self) -> bytes:
        return pack(*self)


def unpacked(fill: bytes) -> Fill:
    return Fill(*PACKED.unpack(fill))


class Tape:
    """``ticks`` is the last price before the start, ``id`` and ``trade_id`` the last ids. Minutes are Unix minutes.

    Trades come in the order of their ids and of their times. All of the time before the minute ``minute`` have come.
    """

    __slots__ = (
        "added", "added_trades", "count", "end_ms", "fills", "first_minute", "id", "is_sell", "lot", "lots",
        "market_ticks", "minute", "minutes", "running", "steps", "tick", "ticks", "time_ms", "trade_id",
    )  # fmt: skip

    def __init__(self, steps: Steps, start_ms: int, ticks: int, id: int, trade_id: int) -> None:
        self.steps, self.tick, self.lot = steps, steps.tick, steps.lot
        self.fills: deque[bytes] = deque(maxlen=MAX_FILLS)
        self.count = 0  # of all since the start
        self.id, self.trade_id = id, trade_id
        self.ticks, self.lots, self.time_ms, self.is_sell = ticks, 1, start_ms - 1, False  # of the last trade
        self.market_ticks = ticks  # of the last one that was the market's own
        self.first_minute = self.minute = start_ms // MINUTE_MS
        self.end_ms = (self.minute + 1) * MINUTE_MS
        self.minutes = Minutes()  # from the first one to the one before the running one
        self.running = Kline.flat(ticks)
        self.added, self.added_trades = 0, 0  # by `next_trade`, beside the market's own

    def take(self, trade: AggTrade) -> None:
        """A trade of the market: numbered after those that were added, and kept."""
        if self.added:
            trade.a += self.added
            trade.f += self.added_trades
            trade.l += self.added_trades
        self.keep(trade)
        self.market_ticks = self.ticks

    def next_trade(self, symbol: str, event_ms: int, time_ms: int, ticks: int, lots: int, is_sell: bool) -> AggTrade:
        """One more than the market has made, kept; it is no earlier than the last one."""
        id = self.trade_id + 1
        price, quantity = self.steps.price_text(ticks), self.steps.quantity_text(lots)
        time_ms = max(time_ms, self.time_ms)
        trade = AggTrade("aggTrade", event_ms, symbol, self.id + 1, price, quantity, id, id, time_ms, is_sell)
        self.added += 1
        self.added_trades += 1
        self.keep(trade)
        return trade

    def keep(self, trade: AggTrade) -> None:
        ticks, lots, count = self.steps.ticks(trade.p), self.steps.lots(trade.q), trade.l - trade.f + 1
        self.fills.append(PACKED.pack(trade.a, ticks, lots, trade.f, count, trade.T, trade.m))
        self.count += 1
        self.id, self.trade_id = trade.a, trade.l
        self.ticks, self.lots, self.time_ms, self.is_sell = ticks, lots, trade.T, trade.m
        if (self.minute + 1) * MINUTE_MS <= trade.T:
            self.advance(trade.T // MINUTE_MS)
        self.running.add(ticks, lots, count, has_bought=not trade.m)

    def advance(self, minute: int) -> None:
        """``minute`` is running, if not a later one: close those before."""
        while self.minute < minute:
            self.minutes.append(self.running)
            self.running = Kline.flat(self.running.close)
            self.minute += 1
            self.end_ms += MINUTE_MS

    @property
    def forgot(self) -> bool:
        """Whether there were more trades since the start than are remembered."""
        return self.count > len(self.fills)
