"""Klines: what was traded in an interval, in whole steps (see `steps`), and minutes of it in a row."""

from array import array
from dataclasses import dataclass, replace

MINUTE_MS = 60_000


@dataclass(slots=True)
class Kline:
    """Prices are ticks, ``volume`` lots, ``cash`` ticks times lots; ``count`` is of single trades.

    Where nothing was traded, all prices are the last one before.
    """

    open: int
    high: int
    low: int
    close: int
    volume: int = 0
    cash: int = 0
    count: int = 0
    taker_volume: int = 0  # of takers who bought
    taker_cash: int = 0

    @classmethod
    def flat(cls, price: int) -> "Kline":
        return cls(price, price, price, price)

    def add(self, ticks: int, lots: int, count: int, has_bought: bool) -> None:
        """One more trade; ``has_bought``: the taker did."""
        if not self.count:
            self.open = self.high = self.low = ticks
        elif ticks > self.high:
            self.high = ticks
        elif ticks < self.low:
            self.low = ticks
        self.close = ticks
        cash = ticks * lots
        self.volume += lots
        self.cash += cash
        self.count += count
        if has_bought:
            self.taker_volume += lots
            self.taker_cash += cash


def merged(earlier: Kline, later: Kline) -> Kline:
    """Both as one."""
    if not (earlier.count and later.count):
        return replace(later if later.count else earlier)
    return Kline(
        earlier.open,
        max(earlier.high, later.high),
        min(earlier.low, later.low),
        later.close,
        earlier.volume + later.volume,
        earlier.cash + later.cash,
        earlier.count + later.count,
        earlier.taker_volume + later.taker_volume,
        earlier.taker_cash + later.taker_cash,
    )


class Minutes:
    """1m klines in a row. Columns of numbers, because a month of them for hundreds of symbols has to fit."""

    __slots__ = ("cash", "close", "count", "high", "low", "open", "taker_cash", "taker_volume", "volume")

    def __init__(self, *columns: list[int]) -> None:
        """``columns`` in the order of `Kline`'s fields; none for no minutes."""
        whole = columns or ((),) * 9
        self.open, self.high, self.low, self.close = (array("q", column) for column in whole[:4])
        self.volume, self.cash, self.count = (array("q", column) for column in whole[4:7])
        self.taker_volume, self.taker_cash = (array("q", column) for column in whole[7:])

    @property
    def columns(self) -> tuple["array[int]", ...]:
        return (
            self.open, self.high, self.low, self.close, self.volume, self.cash, self.count, self.taker_volume,
            self.taker_cash,
        )  # fmt: skip

    def __len__(self) -> int:
        return len(self.count)

    def append(self, kline: Kline) -> None:
        self.open.append(kline.open)
        self.high.append(kline.high)
        self.low.append(kline.low)
        self.close.append(kline.close)
        self.volume.append(kline.volume)
        self.cash.append(kline.cash)
        self.count.append(kline.count)
        self.taker_volume.append(kline.taker_volume)
        self.taker_cash.append(kline.taker_cash)

    def extend(self, others: "Minutes", start: int, end: int) -> None:
        """Append the others from ``start`` to ``end``, which is not among them."""
        for column, other in zip(self.columns, others.columns, strict=True):
            column.extend(other[start:end])

    def rolled(self, start: int, end: int) -> Kline:
        """One kline of the minutes from ``start`` to ``end``, which is not among them; one of them at least."""
        count = self.count[start:end]
        if 0 not in count:
            first, high, low = start, max(self.high[start:end]), min(self.low[start:end])
        elif traded := [start + number for number, trades in enumerate(count) if trades]:
            first = traded[0]
            high, low = max(self.high[minute] for minute in traded), min(self.low[minute] for minute in traded)
        else:
            return Kline.flat(self.close[end - 1])
        return Kline(
            self.open[first],
            high,
            low,
            self.close[end - 1],
            sum(self.volume[start:end]),
            sum(self.cash[start:end]),
            sum(count),
            sum(self.taker_volume[start:end]),
            sum(self.taker_cash[start:end]),
        )
