"""Market data on demand: what web processes want is subscribed, kept, and sent to them, as long as they want it."""

import asyncio
import math
import time
from collections.abc import Callable, Iterable, Sequence, Set
from dataclasses import asdict, replace
from zlib import crc32

import structlog
from django.conf import settings

from marketdata.clock import clock_ms
from marketdata.errors import VenuePayloadError
from marketdata.types import DepthDelta, Kline, Trade
from marketdata.venues.binance.routes import Route, stream_name, stream_url
from marketdata.venues.binance.wire import decode
from streams.collecting.asking import Asker
from streams.collecting.books import BookKeeper
from streams.collecting.candles import CandleKeeper
from streams.collecting.chores import chore
from streams.collecting.closed_candles import ClosedCandles
from streams.collecting.follower import Follower, Refuse
from streams.collecting.listening import listen
from streams.collecting.listing import Listing
from streams.collecting.posting import Post
from streams.collecting.soon import Soon
from streams.collecting.status import MarketState
from streams.collecting.subscriptions import Subscriptions
from streams.collecting.tallies import Tallies
from streams.collecting.tapes import TapeKeeper
from streams.collecting.times import Times
from streams.collecting.venue_clock import VenueClock
from streams.demand import DemandLedger
from streams.market_messages import Demand, Feed, FeedKind

logger = structlog.get_logger(__name__)

TICK_S = 0.25
STALLED_S = 1.0  # between two looks at the time after which what has come meanwhile has not been read yet
ANSWER_S = 0.05  # for which those who ask for the whole are gathered: one answer reaches all
UNSENT_AT_MOST = 1000  # messages beyond which answers wait
BOOK, TRADES, CANDLES = "depth@100ms", "aggTrade", "kline_1m"
STREAMS = {FeedKind.BOOK: (BOOK,), FeedKind.TRADES: (TRADES,), FeedKind.CANDLES: (TRADES, CANDLES)}

Keeper = BookKeeper | TapeKeeper | CandleKeeper


class Market:
    """Lives in one event loop: `run` until it is cancelled. ``shard`` is "i/n": its symbols are one of n parts."""

    def __init__(
        self,
        shard: str,
        times: Times,
        haste: float,
        refuse: Refuse,
        closed: ClosedCandles,
        not_understood: Callable[[VenuePayloadError], None],
    ) -> None:
        self.part, self.parts = (int(number) for number in shard.split("/"))
        self.times, self.haste, self.refuse, self.closed = times, haste, refuse, closed
        self.not_understood = not_understood
        self.tallies, self.clock, self.asker = Tallies(), VenueClock(), Asker(haste)
        self.post = Post(self.ask)
        self.ledger, self.listing = DemandLedger(), Listing()
        self.feeds: set[Feed] = set()  # that are kept
        self.refused: dict[Feed, str] = {}  # that are wanted, and why they are not kept
        self.books: dict[str, BookKeeper] = {}
        self.tapes: dict[str, TapeKeeper] = {}
        self.candles: dict[str, CandleKeeper] = {}
        self.by_stream: dict[str, BookKeeper | TapeKeeper] = {}
        self.subscriptions = Subscriptions(self.open, self.gained, self.lost)
        self.asked: set[Feed] = set()
        self.soon = Soon(ANSWER_S, self.start_answering)
        self.answering: asyncio.Task[None] | None = None
        self.ticked_s = time.monotonic()

    async def run(self) -> None:
        tasks = [asyncio.create_task(work) for work in (listen(self.hear), self.post.run(), self.tick())]
        try:
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await self.close()

    async def close(self) -> None:
        self.soon.cancel()
        if self.answering is not None:
            self.answering.cancel()
        for keeper in (*self.books.values(), *self.tapes.values(), *self.candles.values()):
            keeper.close()
        await self.subscriptions.close()
        self.asker.close()

    # What is wanted

    def hear(self, demand: Demand) -> None:
        self.ledger.take(demand, time.monotonic())
        self.reconcile()
        self.ask(demand.lacks)

    def take_listing(self, listing: Listing) -> None:
        """Operators, or SQL, may have changed what may be collected."""
        if changes := listing.changes_since(self.listing):
            logger.info("the table of instruments says anew what may be collected", **changes)
        self.listing = listing
        self.reconcile()

    def is_ours(self, symbol: str) -> bool:
        return crc32(symbol.encode()) % self.parts == self.part - 1

    def reconcile(self) -> None:
        """Keep and subscribe what is wanted now, and nothing else."""
        if self.has_stalled:
            # Nobody has left: they were not heard.
            return
        wanted = {feed for feed in self.ledger.wanted(time.monotonic()) if self.is_ours(feed.symbol)}
        refused = {feed: reason for feed in wanted if (reason := self.listing.refusal(feed.symbol))}
        news = refused.keys() - self.refused.keys()
        self.refused = refused
        if wanted - refused.keys() != self.feeds:
            self.keep(wanted - refused.keys())
        self.ask(news)

    def keep(self, feeds: set[Feed]) -> None:
        self.post.forget(self.feeds - feeds)
        self.feeds = feeds
        of = {kind: {feed.symbol for feed in feeds if feed.kind is kind} for kind in FeedKind}
        self.keep_books(of[FeedKind.BOOK])
        self.keep_candles(of[FeedKind.CANDLES])
        self.keep_tapes(of[FeedKind.TRADES], of[FeedKind.TRADES] | of[FeedKind.CANDLES])
        self.by_stream = {
            **{stream_name(symbol, BOOK): keeper for symbol, keeper in self.books.items()},
            **{stream_name(symbol, TRADES): keeper for symbol, keeper in self.tapes.items()},
        }
        self.subscriptions.want({stream_name(feed.symbol, kind) for feed in feeds for kind in STREAMS[feed.kind]})

    def keep_books(self, symbols: Set[str]) -> None:
        leave(self.books, symbols)
        for symbol in symbols - self.books.keys():
            self.books[symbol] = BookKeeper(symbol, self.post, self.asker, self.tallies, self.renewer(symbol))

    def keep_candles(self, symbols: Set[str]) -> None:
        leave(self.candles, symbols)
        for symbol in symbols - self.candles.keys():
            self.candles[symbol] = CandleKeeper(symbol, self.post, self.asker, self.closed, self.tallies)

    def keep_tapes(self, shown: Set[str], symbols: Set[str]) -> None:
        """``shown`` to web processes, out of all that are kept."""
        leave(self.tapes, symbols)
        for symbol in symbols - self.tapes.keys():
            self.tapes[symbol] = TapeKeeper(symbol, self.post, self.asker, self.tallies)
        for symbol, tape in self.tapes.items():
            tape.is_wanted = symbol in shown
            tape.feed_candles(self.candles.get(symbol))

    def renewer(self, symbol: str) -> Callable[[], None]:
        return lambda: self.subscriptions.renew(stream_name(symbol, BOOK))

    # Answers

    def ask(self, feeds: Iterable[Feed]) -> None:
        """Say soon what there is of these."""
        if new := {feed for feed in feeds if feed in self.feeds or feed in self.refused}:
            self.asked |= new
            self.soon.ask()

    def start_answering(self) -> None:
        if self.answering is None or self.answering.done():
            self.answering = chore(self.answer())

    async def answer(self) -> None:
        """One by one, as they are taken: whole books are large, and frames must not wait for a hundred of them."""
        while self.asked:
            self.answer_feed(self.asked.pop())
            await asyncio.sleep(0)
            while self.post.unsent > UNSENT_AT_MOST:
                await asyncio.sleep(ANSWER_S)

    def answer_feed(self, feed: Feed) -> None:
        if reason := self.refused.get(feed):
            self.post.state(feed, reason)
        elif keeper := self.keeper(feed):
            fault = self.subscriptions.fault_of(stream_name(feed.symbol, STREAMS[feed.kind][0]))
            if fault and not keeper.is_live:
                keeper.reason = fault
            keeper.answer()

    def keeper(self, feed: Feed) -> Keeper | None:
        keepers = {FeedKind.BOOK: self.books, FeedKind.TRADES: self.tapes, FeedKind.CANDLES: self.candles}
        return keepers[feed.kind].get(feed.symbol)

    # What comes in

    def open(self, route: Route, streams: Sequence[str], changed: Callable[[], None]) -> Follower:
        url = stream_url(settings.BINANCE_WS_BASE_URL, route)
        # A symbol may be traded once an hour: silence is no fault of a connection that answers pings.
        times = replace(self.times, silence_s=math.inf)
        return Follower(url, streams, times, self.haste, self.frame, self.refuse, on_change=changed)

    def gained(self, streams: Set[str]) -> None:
        for stream in streams:
            if keeper := self.by_stream.get(stream):
                keeper.gained()

    def lost(self, streams: Set[str], reason: str) -> None:
        logger.warning("streams are lost", count=len(streams), reason=reason)
        for stream in streams:
            if keeper := self.by_stream.get(stream):
                keeper.lost(reason)

    def frame(self, frame: bytes, now_ms: int) -> bool:
        self.tallies.frames += 1
        try:
            events = decode(frame, now_ms)
        except VenuePayloadError as error:
            self.not_understood(error)
            return False
        now_s = time.monotonic()
        for event in events:
            match event:
                case DepthDelta():
                    # Comes on another connection: it does not say that the trades up to then have come.
                    if book := self.books.get(event.symbol):
                        book.take(event)
                case Trade():
                    self.clock.see(event.event_ms, now_s)
                    if tape := self.tapes.get(event.symbol):
                        tape.take(event)
                case Kline():
                    self.clock.see(event.event_ms, now_s)
                    if candles := self.candles.get(event.candle.symbol):
                        candles.take_kline(event)
                case _:
                    return False
        return bool(events)

    def state(self) -> MarketState:
        return MarketState(
            feeds=len(self.feeds),
            streams_wanted=len(self.subscriptions.wanted),
            streams_received=self.subscriptions.received_count,
            books=len(self.books),
            books_live=sum(book.is_live for book in self.books.values()),
            candles_written=self.closed.written,
            candles_dropped=self.closed.dropped,
            messages_dropped=self.post.dropped,
            **asdict(self.tallies),
        )

    # Time

    @property
    def has_stalled(self) -> bool:
        """Whether the process has just stood still: what was said and sent meanwhile is to be heard first."""
        return time.monotonic() - self.ticked_s > STALLED_S

    async def tick(self) -> None:
        while True:
            await asyncio.sleep(TICK_S / self.haste)
            now_s = time.monotonic()
            if self.has_stalled:
                self.ledger.excuse(now_s)
                self.clock.stood_still(now_s)
            self.ticked_s = now_s
            self.reconcile()
            self.compare_books(now_s)
            self.subscriptions.renew_silent(self.times.silence_s, clock_ms())
            if (now_ms := self.clock.now_ms(now_s)) is not None:
                for symbol, candles in self.candles.items():
                    candles.tick(now_ms, is_current=self.tapes[symbol].is_current)

    def compare_books(self, now_s: float) -> None:
        """One at a time: if a connection is mute, all of its books are."""
        if not any(book.is_comparing for book in self.books.values()):
            for book in self.books.values():
                if book.is_silent(now_s):
                    book.compare()
                    return


def leave(keepers: dict[str, BookKeeper] | dict[str, TapeKeeper] | dict[str, CandleKeeper], wanted: Set[str]) -> None:
    for symbol in keepers.keys() - wanted:
        keepers.pop(symbol).close()
