"""One symbol: its tape, what was before the start, its klines of any interval, its book. Moments are Unix ms."""

import math
from bisect import bisect_left, bisect_right
from functools import cached_property
from random import Random

from marketdata.timeframes import candle_close_ms, candle_open_ms
from streams.simulator.books import Book, Levels
from streams.simulator.contracts import Contract
from streams.simulator.history import DAY_MINUTES, History
from streams.simulator.kinds import AggTrade
from streams.simulator.klines import MINUTE_MS, Kline, Minutes, merged
from streams.simulator.market import MAX_TRADE_DELAY_MS, MEDIAN_TRADE_USD, TRADE_SPREAD, Market
from streams.simulator.steps import Steps
from streams.simulator.tape import Fill, Tape, unpacked

LATE_MS = MAX_TRADE_DELAY_MS + 1  # after which all trades of a moment have come
MEDIAN_LEVEL_USD, LEVEL_SPREAD = 4_000.0, 1.2
SIZES = 256
WOBBLE = 1e-4  # of the price: how far trades of our own lie from the market's last


class Listing:
    """``id`` and ``trade_id`` are the last ids before the start, at which nothing has been traded yet."""

    def __init__(self, seed: int, contract: Contract, start_ms: int, id: int, trade_id: int) -> None:
        self.seed, self.contract, self.symbol = seed, contract, contract.symbol
        self.steps = Steps.of(contract)
        self.history = History(seed, contract, start_ms, id, trade_id)
        ticks = self.steps.price_ticks(contract.price)
        self.tape = Tape(self.steps, start_ms, ticks, id, trade_id)
        self.book: Book | None = None
        self.last_day: tuple[int, Kline] = 0, Kline.flat(ticks)

    @cached_property
    def random(self) -> Random:
        """Not the market's: what is drawn here depends on who looks."""
        return Random(f"{self.seed}/{self.symbol}")

    # Trades

    def own_trade(self, now_ms: int) -> AggTrade:
        """One beside the market's, near its last price."""
        random, steps = self.random, self.steps
        ticks = max(round(self.tape.market_ticks * (1 + random.gauss(0, WOBBLE))), 1)
        usd = random.lognormvariate(math.log(MEDIAN_TRADE_USD), TRADE_SPREAD)
        lots = steps.quantity_lots(usd / steps.price(ticks))
        return self.tape.next_trade(self.symbol, now_ms, now_ms - LATE_MS, ticks, lots, random.random() < 0.5)

    def fills(
        self, limit: int, from_id: int | None = None, start_ms: int | None = None, end_ms: int | None = None
    ) -> list[Fill]:
        """Trades without a hole, oldest first, of those that are remembered: the first ones from an id or a moment on,
        or the last ones. Those before the start are among them as long as none since is forgotten.
        """
        known = [*self.tape.fills] if self.tape.forgot else [*self.history.fills, *self.tape.fills]
        start = 0 if start_ms is None else bisect_left(known, start_ms, key=time_of)
        end = len(known) if end_ms is None else bisect_right(known, end_ms, key=time_of)
        if from_id is not None:
            start = max(start, from_id - unpacked(known[0]).id)
        elif start_ms is None:
            start = max(end - limit, 0)
        return [unpacked(fill) for fill in known[start : min(end, start + limit)]]

    # Klines

    def advance(self, now_ms: int) -> None:
        """All trades of the time before ``now_ms`` - `LATE_MS` have come."""
        self.tape.advance((now_ms - LATE_MS) // MINUTE_MS)

    @property
    def running(self) -> Kline:
        """The kline of the running minute."""
        tape = self.tape
        return tape.running if tape.minute > tape.first_minute else merged(self.history.beginning, tape.running)

    def minutes(self, first: int, end: int) -> Minutes:
        """The minutes from ``first`` to ``end``, which is not among them; at most to the running one."""
        tape, minutes = self.tape, Minutes()
        start = tape.first_minute
        self.history.extend(minutes, first, min(end, start))
        if first <= start < min(end, tape.minute):
            minutes.append(merged(self.history.beginning, tape.minutes.rolled(0, 1)))
        minutes.extend(tape.minutes, max(first - start, 1), max(end - start, 1))
        if first <= tape.minute < end:
            minutes.append(self.running)
        return minutes

    def rolled(self, first: int, end: int) -> Kline:
        """One kline of these minutes, as far as there are any; one at least."""
        minutes = self.minutes(max(first, self.history.first_minute), end)
        return minutes.rolled(0, len(minutes))

    def klines(self, interval: str, first_ms: int, end_ms: int) -> list[tuple[int, Kline]]:
        """Those that open from ``first_ms`` to before ``end_ms`` and have opened, with their open times."""
        first = max(candle_open_ms(interval, max(first_ms, 0)) // MINUTE_MS, self.history.first_minute)
        minutes = self.minutes(first, min(end_ms_of(interval, end_ms) // MINUTE_MS, self.tape.minute + 1))
        klines: list[tuple[int, Kline]] = []
        position = 0
        while position < len(minutes):
            open_ms = candle_open_ms(interval, (first + position) * MINUTE_MS)
            end = min(candle_close_ms(interval, open_ms) // MINUTE_MS - first, len(minutes))
            if first_ms <= open_ms < end_ms:
                klines.append((open_ms, minutes.rolled(position, end)))
            position = end
        return klines

    def day(self) -> Kline:
        """The last 24 hours, the running minute among them."""
        minute, closed = self.last_day
        if minute != self.tape.minute:
            minute = self.tape.minute
            closed = self.rolled(minute - DAY_MINUTES + 1, minute)
            self.last_day = minute, closed
        return merged(closed, self.running)

    # The book

    def present_book(self, now_ms: int) -> Book:
        """The book, about the last trade; it is made when first asked for."""
        if self.book is None:
            self.book = Book(self.random, self.level_sizes(), self.tape.ticks, now_ms)
        elif self.book.watchers:
            return self.book
        self.book.trade(self.tape.ticks, now_ms, is_sell=self.tape.is_sell)
        return self.book

    def forget_book(self) -> None:
        """Unless somebody follows it."""
        if self.book is not None and not self.book.watchers:
            self.book = None

    def level_sizes(self) -> list[int]:
        random, price = self.random, self.steps.price(self.tape.ticks)
        usd = (random.lognormvariate(math.log(MEDIAN_LEVEL_USD), LEVEL_SPREAD) for _ in range(SIZES))
        return [self.steps.quantity_lots(each / price) for each in usd]

    def level_texts(self, levels: Levels) -> list[tuple[str, str]]:
        steps = self.steps
        return [(steps.price_text(ticks), steps.quantity_text(lots)) for ticks, lots in levels]


def listings_of(market: Market) -> list[Listing]:
    """One for each contract of a market that has made no event yet."""
    seed, start_ms = market.options.seed, market.start_ms
    return [Listing(seed, state.contract, start_ms, state.aggregate_id, state.trade_id) for state in market.contracts]


def time_of(fill: bytes) -> int:
    return unpacked(fill).time_ms


def end_ms_of(interval: str, end_ms: int) -> int:
    """When the last kline is over that opens before ``end_ms``."""
    return candle_close_ms(interval, candle_open_ms(interval, end_ms - 1))
