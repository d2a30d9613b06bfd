"""Streams that are made for who follows them: diffs of books, klines, tickers, mark prices, and a livelier tape.

It stands between the market's events and the connections: it numbers and keeps every trade, and at every beat looks for
what is due. Nothing is drawn from the market's random numbers here, so the market stays the same whoever follows.
"""

from collections import Counter, deque
from collections.abc import Callable, Iterable, Sequence
from heapq import heappop, heappush
from typing import ClassVar, Protocol

from marketdata.timeframes import candle_close_ms, candle_open_ms
from streams.simulator.books import Book, Diffs
from streams.simulator.kinds import (
    AGG_TRADE,
    ALL_TICKERS,
    FOLLOWED,
    AggTrade,
    BookTickerUpdate,
    DepthUpdate,
    Event,
    Followed,
    KlineBody,
    KlineUpdate,
    TickerUpdate,
)
from streams.simulator.klines import MINUTE_MS, Kline, merged
from streams.simulator.listing import Listing
from streams.simulator.tickers import mark_price_update, ticker_update

BEAT_MS = 50
STIR_MS = 100  # between changes of a book that are no trade's
REMEMBERED_DIFFS = 100  # that can be repeated
MAX_RESTING = 64  # books that were asked for and need not be followed
QUIET_MS = (700, 2500)  # after which a symbol that is followed trades by itself
LIVELY = ("depth", "book ticker", "kline")  # and trades: who follows these wants to see something happen


class Stream(Protocol):
    """One that is followed; ``period_ms`` after which it is asked again."""

    period_ms: int

    def update(self, now_ms: int) -> Followed | None:
        """What is to be sent, if anything."""
        ...

    def leave(self) -> None:
        """Nobody follows it any more."""
        ...


class Watching:
    """Follows a book, which therefore stays awake."""

    def __init__(self, listing: Listing, now_ms: int) -> None:
        self.listing = listing
        self.book: Book = listing.present_book(now_ms)
        self.book.watchers += 1

    def leave(self) -> None:
        self.book.watchers -= 1


class DepthStream(Watching):
    def __init__(self, listing: Listing, now_ms: int, period_ms: int) -> None:
        super().__init__(listing, now_ms)
        self.period_ms = period_ms
        self.diffs = Diffs(self.book)
        self.recent: deque[DepthUpdate] = deque(maxlen=REMEMBERED_DIFFS)
        self.to_skip = 0

    def leave(self) -> None:
        super().leave()
        self.diffs.leave()

    def update(self, now_ms: int) -> DepthUpdate | None:
        diff, listing = self.diffs.next(), self.listing
        if diff is None:
            return None
        bids, asks = listing.level_texts(diff.bids), listing.level_texts(diff.asks)
        ids = diff.first_id, diff.id, diff.previous_id
        update = DepthUpdate("depthUpdate", now_ms, diff.time_ms, listing.symbol, *ids, bids, asks)
        self.recent.append(update)
        if self.to_skip:
            self.to_skip -= 1
            return None
        return update


class BookTickerStream(Watching):
    """Asked at every change of the book."""

    def __init__(self, listing: Listing, now_ms: int, period_ms: int) -> None:
        super().__init__(listing, now_ms)
        self.period_ms = period_ms
        self.sent: tuple[int, ...] = ()

    def update(self, now_ms: int) -> BookTickerUpdate | None:
        best = self.book.best
        if best == self.sent:
            return None
        self.sent = best
        (bid, bid_quantity), (ask, ask_quantity) = self.listing.level_texts([best[:2], best[2:]])
        return BookTickerUpdate(
            e="bookTicker",
            u=self.book.id,
            s=self.listing.symbol,
            b=bid,
            B=bid_quantity,
            a=ask,
            A=ask_quantity,
            T=self.book.time_ms,
            E=now_ms,
        )


class KlineStream:
    """Sent when it has changed, ``pause_ms`` after the last time at the earliest, and once when it is over."""

    period_ms = BEAT_MS

    def __init__(self, listing: Listing, now_ms: int, pause_ms: int, interval: str) -> None:
        self.listing, self.interval, self.pause_ms = listing, interval, pause_ms
        listing.advance(now_ms)
        self.open_ms = candle_open_ms(interval, listing.tape.minute * MINUTE_MS)
        self.closed: tuple[int, Kline] | None = None  # the minutes before this one
        self.sent_ms, self.sent_id = 0, -1

    def leave(self) -> None:
        pass

    def update(self, now_ms: int) -> KlineUpdate | None:
        listing = self.listing
        listing.advance(now_ms)
        close_ms = candle_close_ms(self.interval, self.open_ms)
        if listing.tape.minute * MINUTE_MS >= close_ms:
            over = listing.rolled(self.open_ms // MINUTE_MS, close_ms // MINUTE_MS)
            since = listing.rolled(close_ms // MINUTE_MS, listing.tape.minute + 1)
            update = self.message(now_ms, over, listing.tape.trade_id - since.count, is_over=True)
            self.open_ms, self.closed, self.sent_ms, self.sent_id = close_ms, None, now_ms, -1
            return update
        if listing.tape.id == self.sent_id or now_ms - self.sent_ms < self.pause_ms:
            return None
        self.sent_ms, self.sent_id = now_ms, listing.tape.id
        return self.message(now_ms, self.running(), listing.tape.trade_id, is_over=False)

    def running(self) -> Kline:
        minute = self.listing.tape.minute
        if minute * MINUTE_MS == self.open_ms:
            return self.listing.running
        if self.closed is None or self.closed[0] != minute:
            self.closed = minute, self.listing.rolled(self.open_ms // MINUTE_MS, minute)
        return merged(self.closed[1], self.listing.running)

    def message(self, now_ms: int, kline: Kline, last_id: int, *, is_over: bool) -> KlineUpdate:
        steps, symbol = self.listing.steps, self.listing.symbol
        body = KlineBody(
            t=self.open_ms,
            T=candle_close_ms(self.interval, self.open_ms) - 1,
            s=symbol,
            i=self.interval,
            f=last_id - kline.count + 1 if kline.count else -1,
            L=last_id if kline.count else -1,
            o=steps.price_text(kline.open),
            c=steps.price_text(kline.close),
            h=steps.price_text(kline.high),
            l=steps.price_text(kline.low),
            v=steps.quantity_text(kline.volume),
            n=kline.count,
            x=is_over,
            q=steps.cash_text(kline.cash),
            V=steps.quantity_text(kline.taker_volume),
            Q=steps.cash_text(kline.taker_cash),
        )
        return KlineUpdate("kline", now_ms, symbol, body)


class Told:
    """What ``tell`` says of a symbol, every so often."""

    def __init__(self, listing: Listing, period_ms: int, tell: Callable[[Listing, int], Followed]) -> None:
        self.listing, self.period_ms, self.tell = listing, period_ms, tell

    def leave(self) -> None:
        pass

    def update(self, now_ms: int) -> Followed:
        self.listing.advance(now_ms)
        return self.tell(self.listing, now_ms)


class AllTickers:
    """The tickers of all symbols that were traded since."""

    period_ms = 1000

    def __init__(self, listings: Iterable[Listing]) -> None:
        self.listings = listings
        self.sent: dict[str, int] = {}

    def leave(self) -> None:
        pass

    def update(self, now_ms: int) -> list[TickerUpdate] | None:
        changed = [listing for listing in self.listings if self.sent.get(listing.symbol) != listing.tape.id]
        for listing in changed:
            self.sent[listing.symbol] = listing.tape.id
            listing.advance(now_ms)
        return [ticker_update(listing, now_ms) for listing in changed] or None


class Broadcast:
    """``publish`` sends an event to who follows it, by the exchange's clock; it ``enlivens`` what is followed."""

    tells: ClassVar = {"mark price": mark_price_update, "ticker": ticker_update}

    def __init__(
        self, listings: Sequence[Listing], publish: Callable[[Event], None], now_ms: Callable[[], int], enlivens: bool
    ) -> None:
        self.listings = {listing.symbol: listing for listing in listings}
        self.by_lower = {listing.symbol.lower(): listing for listing in listings}
        self.publish, self.now_ms, self.enlivens = publish, now_ms, enlivens
        self.streams: dict[str, Stream] = {}
        self.book_tickers: dict[str, BookTickerStream] = {}  # by symbol
        self.lively: Counter[str] = Counter()  # streams of a symbol that want trades
        self.looks: list[tuple[int, str]] = []  # when to look whether a lively symbol has traded
        self.looked_at: set[str] = set()  # the symbols in it
        self.to_skip: dict[str, int] = {}  # trades that are not sent, by symbol
        self.resting: dict[str, None] = {}  # symbols with a book that was asked for, the longest ago first

    # Who follows what

    def followed(self, stream: str) -> None:
        """Somebody follows it now, and nobody did before."""
        if stream == ALL_TICKERS:
            self.streams[stream] = AllTickers(self.listings.values())
            return
        listing, suffix = self.parts(stream)
        if listing is None:
            return
        if self.is_lively(suffix):
            self.lively[listing.symbol] += 1
            if listing.symbol not in self.looked_at:
                self.look_at(listing.symbol, self.now_ms())
        if suffix in FOLLOWED:
            self.streams[stream] = self.stream(listing, suffix)

    def unfollowed(self, stream: str) -> None:
        """The last one has left."""
        listing, suffix = self.parts(stream)
        if listing is not None and self.is_lively(suffix):
            self.lively[listing.symbol] -= 1
        if followed := self.streams.pop(stream, None):
            followed.leave()
        if listing is not None and suffix == "bookTicker":
            self.book_tickers.pop(listing.symbol, None)

    def parts(self, stream: str) -> tuple[Listing | None, str]:
        name, _, suffix = stream.partition("@")
        return self.by_lower.get(name), suffix

    def is_lively(self, suffix: str) -> bool:
        wants_trades = suffix == AGG_TRADE.suffix[1:] or (suffix in FOLLOWED and FOLLOWED[suffix][0] in LIVELY)
        return self.enlivens and wants_trades

    def stream(self, listing: Listing, suffix: str) -> Stream:
        kind, period_ms = FOLLOWED[suffix]
        now_ms = self.now_ms()
        if kind == "depth":
            return DepthStream(listing, now_ms, period_ms)
        if kind == "book ticker":
            self.book_tickers[listing.symbol] = stream = BookTickerStream(listing, now_ms, period_ms)
            return stream
        if kind == "kline":
            return KlineStream(listing, now_ms, period_ms, suffix.removeprefix("kline_"))
        return Told(listing, period_ms, self.tells[kind])

    def depth_streams(self, symbol: str | None) -> dict[str, DepthStream]:
        """Those that are followed, of one symbol or of all, by name."""
        return {
            name: stream
            for name, stream in self.streams.items()
            if isinstance(stream, DepthStream) and symbol in (None, stream.listing.symbol)
        }

    def book(self, symbol: str) -> Book:
        """The book of a symbol that need not be followed; few of those that nobody follows are kept."""
        self.resting.pop(symbol, None)
        self.resting[symbol] = None
        if len(self.resting) > MAX_RESTING:
            oldest = self.listings[next(iter(self.resting))]
            del self.resting[oldest.symbol]
            oldest.forget_book()
        return self.listings[symbol].present_book(self.now_ms())

    def skip_trades(self, symbol: str, count: int) -> None:
        """The next ``count`` are not sent."""
        self.to_skip[symbol] = self.to_skip.get(symbol, 0) + count

    # What happens

    def take(self, event: Event) -> None:
        """An event of the market, at its time."""
        if not event.streams:
            self.beat(event.at_ms)
        elif isinstance(event.payload, AggTrade) and (listing := self.listings.get(event.payload.s)):
            listing.tape.take(event.payload)
            self.traded(listing, event)
        else:
            self.publish(event)

    def traded(self, listing: Listing, event: Event) -> None:
        if self.to_skip.get(listing.symbol):
            self.to_skip[listing.symbol] -= 1
        else:
            self.publish(event)
        if listing.book is not None and listing.book.watchers:
            listing.book.trade(listing.tape.ticks, event.at_ms, is_sell=listing.tape.is_sell)
            self.best_changed(listing.symbol, event.at_ms)

    def beat(self, now_ms: int) -> None:
        self.enliven(now_ms)
        if not self.streams:
            return
        if now_ms % STIR_MS == 0:
            self.stir(now_ms)
        for name, stream in list(self.streams.items()):
            if stream.period_ms and now_ms % stream.period_ms == 0 and (update := stream.update(now_ms)) is not None:
                self.publish(Event(now_ms, (name,), update))

    def enliven(self, now_ms: int) -> None:
        """Trade where somebody looks and it has been quiet for too long."""
        while self.looks and self.looks[0][0] <= now_ms:
            _, symbol = heappop(self.looks)
            self.looked_at.remove(symbol)
            if not self.lively[symbol]:
                continue
            listing = self.listings[symbol]
            quiet_ms = listing.random.randint(*QUIET_MS)
            if now_ms - listing.tape.time_ms >= quiet_ms:
                trade = listing.own_trade(now_ms)
                self.traded(listing, Event(now_ms, AGG_TRADE.streams(symbol), trade))
            self.look_at(symbol, listing.tape.time_ms + quiet_ms)

    def look_at(self, symbol: str, at_ms: int) -> None:
        heappush(self.looks, (at_ms, symbol))
        self.looked_at.add(symbol)

    def stir(self, now_ms: int) -> None:
        watched = {id(stream.book): stream for stream in self.streams.values() if isinstance(stream, Watching)}
        for stream in watched.values():
            stream.book.stir(now_ms)
            self.best_changed(stream.listing.symbol, now_ms)

    def best_changed(self, symbol: str, now_ms: int) -> None:
        """It may have: tell who follows the best levels."""
        if (stream := self.book_tickers.get(symbol)) and (update := stream.update(now_ms)):
            self.publish(Event(now_ms, (f"{symbol.lower()}@bookTicker",), update))
