"""1m candles of one symbol, built from its trades by event time. No clock, no Django.

Trades that are late for their minute are merged into it until it closes, `GRACE_MS` after its end; later ones are
counted, and their minutes marked to be repaired. So is every minute of which something was missed: a candle that is
called closed holds all trades of its minute.
"""

from collections.abc import Iterable
from decimal import Decimal

from marketdata.timeframes import MINUTE_MS
from marketdata.types import Candle, CandleSource, Kline, Side, Trade

TIMEFRAME = "1m"
GRACE_MS = 1000
# More empty minutes at a time than anybody's clock should leap: what was not looked at for so long is not known empty.
MOST_EMPTY = 1440
NOTHING = Decimal(0)
NO_ID = -1


class Minute:
    """One minute: the venue's candle, if there is one, and the trades that it does not hold."""

    def __init__(self, open_ms: int, *, is_whole: bool) -> None:
        self.open_ms = open_ms
        self.is_whole = is_whole  # every trade of it since its beginning was taken
        self.kline: Kline | None = None
        self.trades: list[Trade] = []  # later than those of the kline
        self.clear()

    def clear(self) -> None:
        self.first_id = self.last_id = NO_ID
        self.open = self.high = self.low = self.close = NOTHING
        self.volume = self.quote_volume = self.buy_volume = self.buy_quote_volume = NOTHING
        self.count = 0

    @property
    def is_traded(self) -> bool:
        return self.last_id != NO_ID

    @property
    def covered_id(self) -> int:
        """The last fill that is in the kline."""
        return self.kline.last_trade_id if self.kline else NO_ID

    def take_trade(self, trade: Trade) -> None:
        if trade.last_trade_id > self.covered_id:
            self.trades.append(trade)
            self.add(trade)

    def take_kline(self, kline: Kline) -> None:
        self.kline = kline
        self.trades = [trade for trade in self.trades if trade.last_trade_id > kline.last_trade_id]
        self.clear()
        if kline.last_trade_id != NO_ID:
            self.begin_with(kline)
        for trade in self.trades:
            self.add(trade)

    def begin_with(self, kline: Kline) -> None:
        candle = kline.candle
        self.first_id, self.last_id = kline.first_trade_id, kline.last_trade_id
        self.open, self.high, self.low, self.close = candle.open, candle.high, candle.low, candle.close
        self.volume, self.quote_volume = candle.volume, candle.quote_volume or NOTHING
        self.buy_volume = candle.taker_buy_volume or NOTHING
        self.buy_quote_volume = candle.taker_buy_quote_volume or NOTHING
        self.count = candle.trade_count or 0

    def add(self, trade: Trade) -> None:
        price, quantity = trade.price, trade.quantity
        notional = price * quantity
        if not self.is_traded:
            self.open = self.high = self.low = self.close = price
            self.first_id, self.last_id = trade.first_trade_id, trade.last_trade_id
        else:
            self.high, self.low = max(self.high, price), min(self.low, price)
            # Ids and not the order of arrival say which came first: a late one may be merged.
            if trade.first_trade_id < self.first_id:
                self.open, self.first_id = price, trade.first_trade_id
            if trade.last_trade_id > self.last_id:
                self.close, self.last_id = price, trade.last_trade_id
        self.volume += quantity
        self.quote_volume += notional
        if trade.taker_side is Side.BUY:
            self.buy_volume += quantity
            self.buy_quote_volume += notional
        self.count += trade.last_trade_id - trade.first_trade_id + 1

    def is_complete(self, begun_id: int) -> bool:
        """Whether all trades so far are in it; ``begun_id``: the first fill that we received of those that follow."""
        if self.is_whole:
            return True
        if self.kline is None:
            return False
        # A trade that is in the kline in part would be counted twice in part.
        if any(trade.first_trade_id <= self.covered_id for trade in self.trades):
            return False
        return self.kline.candle.is_closed or NO_ID < begun_id <= self.covered_id + 1

    def price(self) -> Decimal | None:
        """The last one that is known of it."""
        if self.is_traded:
            return self.close
        return self.kline.candle.close if self.kline else None

    def candle(self, venue: str, symbol: str, carried: Decimal, *, is_closed: bool) -> Candle:
        """``carried``: all prices of a minute in which nothing was traded."""
        if self.kline and not self.trades and self.kline.candle.is_closed:
            return self.kline.candle
        is_empty = not self.is_traded
        return Candle(
            venue=venue,
            symbol=symbol,
            timeframe=TIMEFRAME,
            open_ms=self.open_ms,
            open=carried if is_empty else self.open,
            high=carried if is_empty else self.high,
            low=carried if is_empty else self.low,
            close=carried if is_empty else self.close,
            volume=self.volume,
            quote_volume=self.quote_volume,
            taker_buy_volume=self.buy_volume,
            taker_buy_quote_volume=self.buy_quote_volume,
            trade_count=self.count,
            is_closed=is_closed,
            is_empty=is_empty,
            source=CandleSource.VENUE if self.kline and not self.trades else CandleSource.TRADES,
        )


class CandleBuilder:
    """Takes a symbol's trades, each once, and the venue's klines; gives its 1m candles.

    ``late`` counts trades that came after their minute had closed. ``needs_repair`` holds the minutes (their opening)
    whose candles are missing or wrong; whoever has them repaired takes them out.
    """

    def __init__(self, venue: str, symbol: str) -> None:
        self.venue, self.symbol = venue, symbol
        self.late = 0
        self.needs_repair: set[int] = set()
        self.minutes: dict[int, Minute] = {}  # the open ones of which something has come
        self.current_ms = 0  # opening of the running minute; 0 before anything has come
        self.began_ms = self.closed_until_ms = 0  # began: the first minute of which something came
        self.carried: Decimal | None = None  # the last price before the open minutes
        self.begun_id = NO_ID  # the first fill since we began, or began anew
        self.whole_from_ms: int | None = None  # minutes from here on are received from their beginning
        self.corrected: list[Candle] = []  # which `close_until` has not given yet
        self.closed: dict[int, Candle] = {}  # of which `changed` has not told yet,
        self.touched: set[int] = set()  # and the open ones

    def take_trade(self, trade: Trade) -> None:
        open_ms = trade.event_ms - trade.event_ms % MINUTE_MS
        if open_ms < self.closed_until_ms:
            # What was traded before anything came is of no minute of ours.
            if open_ms >= self.began_ms:
                self.late += 1
                self.needs_repair.add(open_ms)
            return
        if self.begun_id == NO_ID:
            self.begun_id = trade.first_trade_id
        self.minute_receiving(open_ms).take_trade(trade)
        self.touched.add(open_ms)

    def take_kline(self, kline: Kline) -> None:
        """The venue's 1m candle, as it stands, takes over the trades that are in it; later ones come on top."""
        open_ms = kline.candle.open_ms
        if open_ms < self.closed_until_ms:
            self.correct(kline.candle)
            return
        minute = self.minute_receiving(open_ms)
        if minute.kline is None or kline.last_trade_id >= minute.covered_id:
            minute.take_kline(kline)
            self.touched.add(open_ms)

    def lost(self, from_ms: int) -> None:
        """Trades from ``from_ms`` (event time) on may have been missed, until the next one that is taken."""
        first_ms = from_ms - from_ms % MINUTE_MS
        # What is long ago is left to whoever looks for holes.
        earliest_ms = max(first_ms, self.closed_until_ms - MOST_EMPTY * MINUTE_MS)
        self.needs_repair.update(range(earliest_ms, self.closed_until_ms, MINUTE_MS))
        for minute in self.minutes.values():
            minute.is_whole = minute.is_whole and minute.open_ms < first_ms
        self.begun_id, self.whole_from_ms = NO_ID, None

    def close_until(self, now_ms: int) -> list[Candle]:
        """Close the minutes that ended `GRACE_MS` before ``now_ms``, traded in or not.

        Gives the complete ones and those that the venue has corrected since; the others are in ``needs_repair``.
        """
        if not self.current_ms:
            return []
        until_ms = now_ms - GRACE_MS
        until_ms -= until_ms % MINUTE_MS
        closed = [candle for open_ms in self.ending(until_ms) if (candle := self.close(open_ms))]
        self.closed_until_ms = max(self.closed_until_ms, until_ms)
        self.advance(now_ms - now_ms % MINUTE_MS)
        corrected, self.corrected = self.corrected, []
        return corrected + closed

    @property
    def running(self) -> Candle | None:
        """The candle of the present minute; None while nothing is known of it."""
        return self.open_candle(self.current_ms)

    @property
    def open_candles(self) -> list[Candle]:
        """Those of the minutes that are not closed yet, the earliest first; the running one is the last."""
        opens = sorted({*self.minutes, self.current_ms})
        return [candle for open_ms in opens if (candle := self.open_candle(open_ms))]

    def changed(self) -> list[Candle]:
        """The candles that have changed since this was last asked, the earliest first.

        A minute comes for the first time together with the one before it, so who has missed the end of that knows.
        """
        touched = ((open_ms, self.open_candle(open_ms)) for open_ms in self.touched)
        found = {open_ms: candle for open_ms, candle in touched if candle} | self.closed
        self.touched, self.closed = set(), {}
        return [found[open_ms] for open_ms in sorted(found)]

    # How it is done ------------------------------------------------------------------------------------------------

    def minute_receiving(self, open_ms: int) -> Minute:
        """The minute, of which something has just come: what follows it comes too, from now on."""
        if self.whole_from_ms is None:
            self.whole_from_ms = open_ms + MINUTE_MS
        if not self.closed_until_ms:
            self.began_ms = self.closed_until_ms = open_ms
        self.advance(open_ms)
        if open_ms not in self.minutes:
            self.minutes[open_ms] = self.untraded(open_ms)
        return self.minutes[open_ms]

    def untraded(self, open_ms: int) -> Minute:
        return Minute(open_ms, is_whole=self.whole_from_ms is not None and open_ms >= self.whole_from_ms)

    def advance(self, open_ms: int) -> None:
        if open_ms > self.current_ms:
            # Whoever hears of a minute for the first time hears again how those before it stand.
            first_ms = max(self.current_ms or open_ms, self.closed_until_ms, open_ms - MOST_EMPTY * MINUTE_MS)
            self.touched.update(range(first_ms, open_ms + MINUTE_MS, MINUTE_MS))
            self.current_ms = open_ms

    def correct(self, candle: Candle) -> None:
        """A minute that we have closed already: only the venue's last word on it counts."""
        if candle.is_closed:
            self.corrected.append(candle)
            self.closed[candle.open_ms] = candle
            self.needs_repair.discard(candle.open_ms)

    def ending(self, until_ms: int) -> Iterable[int]:
        """The minutes that end now; after too long a leap, those alone of which something has come."""
        minutes = range(self.closed_until_ms, until_ms, MINUTE_MS)
        if len(minutes) <= MOST_EMPTY:
            return minutes
        self.lost(self.closed_until_ms)
        return sorted(open_ms for open_ms in self.minutes if open_ms < until_ms)

    def close(self, open_ms: int) -> Candle | None:
        minute = self.minutes.pop(open_ms, None) or self.untraded(open_ms)
        price = minute.price()
        self.carried = self.carried if price is None else price
        if self.carried is None or not minute.is_complete(self.begun_id):
            self.needs_repair.add(open_ms)
            return None
        candle = self.closed[open_ms] = minute.candle(self.venue, self.symbol, self.carried, is_closed=True)
        return candle

    def open_candle(self, open_ms: int) -> Candle | None:
        minute = self.minutes.get(open_ms) or self.untraded(open_ms)
        price = minute.price() or self.price_before(open_ms)
        if price is None or not minute.is_complete(self.begun_id):
            return None
        return minute.candle(self.venue, self.symbol, price, is_closed=False)

    def price_before(self, open_ms: int) -> Decimal | None:
        for earlier_ms in sorted(self.minutes, reverse=True):
            if earlier_ms < open_ms and (price := self.minutes[earlier_ms].price()) is not None:
                return price
        return self.carried
