"""Longer candles of shorter ones: all of a list, or the running one minute by minute. No Django."""

from collections.abc import Iterable, Sequence
from copy import copy
from decimal import Decimal

from marketdata.timeframes import candle_close_ms, candle_open_ms
from marketdata.types import Candle, CandleSource

# Of a running candle the last minutes may still change, by late trades or the venue's word; those before are added up.
REPLACEABLE = 5


def roll_up(candles: Iterable[Candle], timeframe: str) -> list[Candle]:
    """Candles of ``timeframe`` from shorter ones of one symbol, by rising time, which may be of several timeframes.

    They must not overlap, nor reach beyond a candle of ``timeframe``. Only a candle whose parts are closed and leave no
    hole is closed. A figure that a part lacks is lacking.
    """
    sums: list[Sum] = []
    for part in candles:
        open_ms = candle_open_ms(timeframe, part.open_ms)
        if not sums or sums[-1].open_ms != open_ms:
            sums.append(Sum(timeframe, open_ms))
        sums[-1].add(part)
    return [each.candle() for each in sums]


class Sum:
    """A candle being added up, its parts by rising time."""

    __slots__ = (
        *(
            "close",
            "end_ms",
            "high",
            "is_closed",
            "is_empty",
            "low",
            "open",
            "open_ms",
            "part",
            "timeframe",
            "until_ms",
        ),
        *("quote_volume", "taker_buy_quote_volume", "taker_buy_volume", "timeframe", "trade_count", "volume"),
    )

    def __init__(self, timeframe: str, open_ms: int) -> None:
        self.timeframe, self.open_ms = timeframe, open_ms
        self.end_ms = self.until_ms = open_ms  # of its parts, and of those before the first hole
        self.is_closed = self.is_empty = True
        self.part: Candle | None = None  # the last one
        self.open = self.high = self.low = self.close = Decimal(0)
        self.volume = Decimal(0)
        self.quote_volume: Decimal | None = Decimal(0)
        self.taker_buy_volume: Decimal | None = Decimal(0)
        self.taker_buy_quote_volume: Decimal | None = Decimal(0)
        self.trade_count: int | None = 0

    def add(self, part: Candle) -> None:
        self.add_prices(part)
        self.volume += part.volume
        self.quote_volume = plus(self.quote_volume, part.quote_volume)
        self.taker_buy_volume = plus(self.taker_buy_volume, part.taker_buy_volume)
        self.taker_buy_quote_volume = plus(self.taker_buy_quote_volume, part.taker_buy_quote_volume)
        if self.trade_count is not None:
            self.trade_count = None if part.trade_count is None else self.trade_count + part.trade_count
        self.is_closed = self.is_closed and part.is_closed
        self.end_ms = candle_close_ms(part.timeframe, part.open_ms)
        if part.open_ms == self.until_ms:
            self.until_ms = self.end_ms
        self.part = part

    def add_prices(self, part: Candle) -> None:
        """An empty part carries a price at which nothing was traded: it counts among its like alone."""
        if self.part is None or (self.is_empty and not part.is_empty):
            self.open, self.high, self.low, self.close = part.open, part.high, part.low, part.close
            self.is_empty = part.is_empty
        elif self.is_empty or not part.is_empty:
            self.high, self.low = max(self.high, part.high), min(self.low, part.low)
            self.close = part.close

    def candle(self) -> Candle:
        """What is added up so far, of one part at least."""
        assert self.part is not None
        return Candle(
            venue=self.part.venue,
            symbol=self.part.symbol,
            timeframe=self.timeframe,
            open_ms=self.open_ms,
            open=self.open,
            high=self.high,
            low=self.low,
            close=self.close,
            volume=self.volume,
            quote_volume=self.quote_volume,
            taker_buy_volume=self.taker_buy_volume,
            taker_buy_quote_volume=self.taker_buy_quote_volume,
            trade_count=self.trade_count,
            is_closed=self.is_closed and self.until_ms == candle_close_ms(self.timeframe, self.open_ms),
            is_empty=self.is_empty,
            source=CandleSource.ROLLUP,
        )


def plus(sum: Decimal | None, part: Decimal | None) -> Decimal | None:
    return None if sum is None or part is None else sum + part


class RunningCandle:
    """The running candle of a timeframe, from the symbol's 1m candles as they change.

    Begin with `seed`: what is closed since the candle opened. The candle before the running one is kept, too: its last
    minute closes a moment after the next has begun.
    """

    def __init__(self, timeframe: str) -> None:
        self.timeframe = timeframe
        self.periods: list[Period] = []  # the running one, and the one before it

    def seed(self, parts: Sequence[Candle]) -> None:
        """Closed shorter candles by rising time, which cover the running candle from its opening on."""
        for part in parts:
            self.period(part.open_ms).add(part)

    def take(self, candle: Candle) -> list[Candle]:
        """The candle of the timeframe after this change of a 1m candle; when that begins a new one, after the last one.

        None at all where the minute is too old to change anything.
        """
        before = self.periods[-1:]
        period = self.period(candle.open_ms)
        if period not in self.periods or not period.take(candle):
            return []
        is_new = period is self.periods[-1] and period not in before
        return [each.candle() for each in (*(before if is_new else ()), period)]

    def period(self, time_ms: int) -> "Period":
        open_ms = candle_open_ms(self.timeframe, time_ms)
        for period in self.periods:
            if period.open_ms == open_ms:
                return period
        period = Period(self.timeframe, open_ms)
        if not self.periods or open_ms > self.periods[-1].open_ms:
            self.periods = [*self.periods[-1:], period]
        return period


class Period:
    """One candle of a timeframe: what is added up for good, and the last minutes, which may still change."""

    def __init__(self, timeframe: str, open_ms: int) -> None:
        self.open_ms = open_ms
        self.sum = Sum(timeframe, open_ms)
        self.minutes: dict[int, Candle] = {}

    def add(self, part: Candle) -> None:
        self.sum.add(part)

    def take(self, candle: Candle) -> bool:
        """Whether it counts: not so where that minute has been added up already, or more is known of it."""
        if candle.open_ms < self.sum.end_ms or is_outdone(candle, self.minutes.get(candle.open_ms)):
            return False
        self.minutes[candle.open_ms] = candle
        if len(self.minutes) > REPLACEABLE:
            self.sum.add(self.minutes.pop(min(self.minutes)))
        return True

    def candle(self) -> Candle:
        sum = copy(self.sum)
        for open_ms in sorted(self.minutes):
            sum.add(self.minutes[open_ms])
        return sum.candle()


def is_outdone(candle: Candle, known: Candle | None) -> bool:
    """Whether this is an earlier state of the minute: of two collectors one may be behind the other."""
    if known is None or candle.is_closed:
        return False
    return known.is_closed or candle.volume < known.volume
