"""What was traded before the exchange started: made up from the seed and the contract alone, when somebody asks.

The last minutes are single trades, and their klines the roll-up of these. The 30 days before are 1m klines, day by day:
prices walk between levels that are drawn for the ends of the days, so that any day can be made without the others.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import accumulate
from operator import add, mul, sub
from random import Random
from statistics import NormalDist
from typing import TypeVar

from streams.simulator.contracts import Contract
from streams.simulator.klines import MINUTE_MS, Kline, Minutes
from streams.simulator.steps import Steps
from streams.simulator.tape import Fill, unpacked

DAYS = 30
DAY_MINUTES = 1440
TAIL_MINUTES = 10  # that are single trades, besides the minute of the start
KEPT_DAYS = 512  # of all symbols, 100 kB each

TRADES_PER_S = (0.25, 12.0)  # of a symbol, by its weight, about as many as in the market
SINGLE_TRADES = (1, 1, 1, 2, 3, 5)  # in an aggregate trade
MEDIAN_USD, SPREAD = 300.0, 1.5
MEAN_USD = MEDIAN_USD * math.exp(SPREAD**2 / 2)
MINUTE_VOLATILITY = 1.1e-3
DAY_LEVEL = 0.025  # how far the ends of days lie from the price at the start
MIN_TRADES = 4  # single ones of a minute; where fewer would be, there is none

# Tables for `drawn`: with them a day is made several times faster than from distributions.
NORMAL = [NormalDist().inv_cdf((number + 0.5) / 256) for number in range(256)]
WICKS = [0.6 * abs(number) for number in NORMAL]  # in volatilities
ACTIVITY = [math.exp(0.6 * number - 0.18) for number in NORMAL]  # of a minute; 1 on average
SIZES = [math.exp(0.4 * number - 0.08) for number in NORMAL]  # of a minute's average trade; 1 on average
TRADE_USD = [MEDIAN_USD * math.exp(SPREAD * number) for number in NORMAL]
SHARES = [25 + number // 5 for number in range(256)]  # percent of a minute's volume that takers bought

T = TypeVar("T", int, float)


def drawn(random: Random, table: Sequence[T], count: int) -> Iterator[T]:
    """So many of a table's 256 elements."""
    return map(table.__getitem__, random.randbytes(count))


def trades_per_s(contract: Contract) -> float:
    least, most = TRADES_PER_S
    return min(max(contract.weight * 0.75, least), most)


@lru_cache(maxsize=KEPT_DAYS)
def day_minutes(seed: int, contract: Contract, day: int, end_ticks: int, minutes: int) -> Minutes:
    """The last ``minutes`` of the day that is the ``day``-th before the tail, of which it ends at ``end_ticks``."""
    random = Random(f"{seed}/{contract.symbol}/day/{day}")
    steps = Steps.of(contract)
    counts = day_counts(random, contract, minutes)
    start_ticks = level_ticks(seed, contract, day + 1)
    closes = day_closes(random, counts, start_ticks, end_ticks)
    opens = [start_ticks, *closes[:-1]]
    highs = list(map(add, map(max, opens, closes), day_wicks(random, counts, end_ticks)))
    lows = [max(low, 1) for low in map(sub, map(min, opens, closes), day_wicks(random, counts, end_ticks))]
    volumes = day_volumes(random, steps, contract, counts)
    bought = [volume * share // 100 for volume, share in zip(volumes, drawn(random, SHARES, minutes), strict=True)]
    # Four times the average price, which lies between the low and the high.
    averages = [sum(prices) for prices in zip(opens, highs, lows, closes, strict=True)]
    cash = [product // 4 for product in map(mul, volumes, averages)]
    taker_cash = [product // 4 for product in map(mul, bought, averages)]
    return Minutes(opens, highs, lows, closes, volumes, cash, counts, bought, taker_cash)


def day_counts(random: Random, contract: Contract, minutes: int) -> list[int]:
    """Single trades of each minute; the last has some."""
    mean = trades_per_s(contract) * 60 * sum(SINGLE_TRADES) / len(SINGLE_TRADES)
    chosen = (int(mean * activity) for activity in drawn(random, ACTIVITY, minutes))
    counts = [count if count >= MIN_TRADES else 0 for count in chosen]
    counts[-1] = max(counts[-1], MIN_TRADES)
    return counts


def day_closes(random: Random, counts: Sequence[int], start_ticks: int, end_ticks: int) -> list[int]:
    """A walk from one price to the other, which stays where nothing is traded."""
    size = MINUTE_VOLATILITY * end_ticks
    walk = list(accumulate(drawn(random, NORMAL, len(counts))))
    slope = (end_ticks - start_ticks - size * walk[-1]) / len(walk)
    closes = [max(round(start_ticks + size * noise + slope * number), 1) for number, noise in enumerate(walk, 1)]
    if 0 in counts:
        last = start_ticks
        for number, count in enumerate(counts):
            last = closes[number] = closes[number] if count else last
    return closes


def day_wicks(random: Random, counts: Sequence[int], end_ticks: int) -> list[int]:
    """Ticks by which each minute went beyond its open and close."""
    size = MINUTE_VOLATILITY * end_ticks
    chosen = drawn(random, WICKS, len(counts))
    return [int(wick * size) if count else 0 for wick, count in zip(chosen, counts, strict=True)]


def day_volumes(random: Random, steps: Steps, contract: Contract, counts: Sequence[int]) -> list[int]:
    """Lots, at least as many as trades."""
    lots = MEAN_USD * len(SINGLE_TRADES) / sum(SINGLE_TRADES) / contract.price * 10**steps.lot_places / steps.lot
    chosen = drawn(random, SIZES, len(counts))
    return [max(int(lots * size * count), count) for size, count in zip(chosen, counts, strict=True)]


def level_ticks(seed: int, contract: Contract, day: int) -> int:
    """The price at the beginning of a day, ``day`` - 1 days before the tail."""
    random = Random(f"{seed}/{contract.symbol}/level/{day}")
    return Steps.of(contract).price_ticks(contract.price * math.exp(random.gauss(0, DAY_LEVEL)))


@dataclass(frozen=True)
class History:
    """``id`` and ``trade_id`` are the last ids before the start, whose price is the contract's."""

    seed: int
    contract: Contract
    start_ms: int
    id: int
    trade_id: int

    @property
    def last_minute(self) -> int:
        """That of the start: a part of it belongs to us."""
        return self.start_ms // MINUTE_MS

    @property
    def first_minute(self) -> int:
        return self.last_minute - DAYS * DAY_MINUTES

    @cached_property
    def fills(self) -> list[bytes]:
        """The trades of the last minutes, packed, oldest first."""
        random = Random(f"{self.seed}/{self.contract.symbol}/tail")
        steps = Steps.of(self.contract)
        begin_ms = (self.last_minute - TAIL_MINUTES) * MINUTE_MS
        span_ms = self.start_ms - begin_ms
        count = int(trades_per_s(self.contract) * span_ms / 1000)
        times = sorted(begin_ms + int(random.random() * span_ms) for _ in range(count))
        lots = [steps.quantity_lots(usd / self.contract.price) for usd in drawn(random, TRADE_USD, count)]
        counts = random.choices(SINGLE_TRADES, k=count)
        first_ids = list(accumulate(counts, initial=self.trade_id + 1 - sum(counts)))
        prices = self.tail_prices(random, count)
        return [
            Fill(self.id - count + number, *row, random.random() < 0.5).packed()
            for number, row in enumerate(zip(prices, lots, first_ids, counts, times, strict=False), 1)
        ]

    def tail_prices(self, random: Random, count: int) -> list[int]:
        """Ticks: a walk that ends at the contract's price."""
        end = Steps.of(self.contract).price_ticks(self.contract.price)
        size = MINUTE_VOLATILITY * end * math.sqrt(TAIL_MINUTES / count)
        walk = list(accumulate(drawn(random, NORMAL, count)))
        return [max(round(end + size * (noise - walk[-1])), 1) for noise in walk]

    @cached_property
    def tail(self) -> Minutes:
        """1m klines of the last minutes, the one of the start among them as far as it is ours."""
        minutes = Minutes()
        fills = [unpacked(fill) for fill in self.fills]
        running, position = Kline.flat(fills[0].ticks), 0
        for minute in range(self.last_minute - TAIL_MINUTES, self.last_minute + 1):
            while position < len(fills) and fills[position].minute == minute:
                fill = fills[position]
                running.add(fill.ticks, fill.lots, fill.trades, not fill.is_sell)
                position += 1
            minutes.append(running)
            running = Kline.flat(running.close)
        return minutes

    @cached_property
    def beginning(self) -> Kline:
        """The minute of the start as far as it lies before the start."""
        return self.tail.rolled(TAIL_MINUTES, TAIL_MINUTES + 1)

    def day(self, day: int) -> Minutes:
        """The ``day``-th day before the start's minute, from 0 on; of the last one the tail is the end."""
        if day:
            end = level_ticks(self.seed, self.contract, day)
            return day_minutes(self.seed, self.contract, day, end, DAY_MINUTES)
        return day_minutes(self.seed, self.contract, 0, self.tail.open[0], DAY_MINUTES - TAIL_MINUTES)

    def extend(self, minutes: Minutes, first: int, end: int) -> None:
        """Append the minutes from ``first`` to ``end``, which is not among them, and at most the start's."""
        tail_first = self.last_minute - TAIL_MINUTES
        for day in range(DAYS - 1, -1, -1):
            day_first = self.last_minute - (day + 1) * DAY_MINUTES
            start, stop = max(first, day_first), min(end, day_first + DAY_MINUTES, tail_first)
            if start < stop:
                minutes.extend(self.day(day), start - day_first, stop - day_first)
        if first < end and tail_first < end:
            minutes.extend(self.tail, max(first - tail_first, 0), end - tail_first)
