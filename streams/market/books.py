"""One symbol's order book in a web process, aggregated once for all sockets that show it in the same way."""

import asyncio
import time

from marketdata.books.aggregation import aggregate
from marketdata.books.book import OrderBook
from marketdata.books.parameters import BookParameters
from marketdata.books.sync import BookSync
from marketdata.clock import clock_ms
from marketdata.formatting import price_decimals, rounding_options
from marketdata.types import DepthDelta, DepthSnapshot, Instrument
from streams.book_frames import orderbook_frame
from streams.figures import FRAMES
from streams.market.cadence import Cadence
from streams.market.replica import FeedReplica
from streams.market_messages import Feed, FeedMessage
from streams.messages import plain_error_frame
from streams.outgoing import Outgoing

INTERVAL_S = 0.1  # between two frames of a connection, on average
HEAVY_LIMIT = 200  # levels from which on a frame takes milliseconds, and is made in a thread
PATIENCE_S = 2.0  # for the whole book after an update was missed; sockets are told then


class Shown:
    """One way of showing the book, the sockets that show it so, and its frame of the last update."""

    def __init__(self) -> None:
        self.onlookers: set[Outgoing] = set()
        self.update_id: int | None = None
        self.frame = self.sent = ""
        self.making: asyncio.Task[None] | None = None

    def send(self) -> None:
        """To all; an error has no time in it, so one that was sent is not sent again."""
        self.sent = self.frame
        for outgoing in tuple(self.onlookers):
            outgoing.put_newest(self.frame)


class BookReplica(FeedReplica):
    """A book that follows the collector's by the rules by which that follows the venue's."""

    what = "order book"

    def __init__(self, feed: Feed, instrument: Instrument) -> None:
        super().__init__(feed, instrument)
        self.sync = BookSync(feed.symbol)
        self.shown: dict[BookParameters, Shown] = {}
        self.cadence = Cadence(INTERVAL_S)
        self.lived_s: float | None = None  # when the book was live last, at a message
        self.flushing: asyncio.TimerHandle | None = None

    def take_data(self, message: FeedMessage) -> None:
        if self.sync.is_live:
            self.lived_s = self.heard_s
        if isinstance(message, DepthDelta):
            has_changed = self.sync.take_delta(message)
        else:
            has_changed = isinstance(message, DepthSnapshot) and self.sync.take_snapshot(message)
        if has_changed:
            self.flush_soon()

    def needs_beginning(self) -> bool:
        return self.sync.needs_snapshot

    def lose(self, reason: str) -> None:
        self.sync.lost(reason)
        super().lose(reason)

    def tell(self) -> None:
        for shown in self.shown.values():
            for outgoing in tuple(shown.onlookers):
                # Not before a book that waits to be sent: what follows the error is right again.
                outgoing.put_last(self.error_text())

    def tick(self, now_s: float) -> None:
        super().tick(now_s)
        if self.fault or self.sync.is_live or self.lived_s is None:
            return
        if now_s - self.lived_s > PATIENCE_S:
            # What has come since is kept: it leads on from the book that has been asked for.
            super().lose(self.sync.reason)

    def join(self, parameters: BookParameters, outgoing: Outgoing) -> None:
        """Show the book so from now on; the present one, if there is one, at once."""
        shown = self.shown.setdefault(parameters, Shown())
        shown.onlookers.add(outgoing)
        if self.fault:
            outgoing.put_last(self.error_text())
        elif self.sync.is_live:
            self.make(parameters, shown)
            if shown.frame:
                outgoing.put_newest(shown.frame)
                if len(shown.onlookers) == 1:
                    shown.sent = shown.frame

    def leave(self, parameters: BookParameters, outgoing: Outgoing) -> None:
        if shown := self.shown.get(parameters):
            shown.onlookers.discard(outgoing)
            if not shown.onlookers:
                del self.shown[parameters]

    def flush_soon(self) -> None:
        if self.flushing is None:
            wait_s = self.cadence.wait_s(time.monotonic())
            self.flushing = asyncio.get_running_loop().call_later(wait_s, self.flush)

    def flush(self) -> None:
        """Send the book as it is to everybody."""
        self.flushing = None
        self.cadence.sent(time.monotonic())
        if self.sync.is_live:
            for parameters, shown in self.shown.items():
                self.make(parameters, shown)
                if shown.frame != shown.sent:
                    shown.send()

    def make(self, parameters: BookParameters, shown: Shown) -> None:
        """Bring the frame up to date; a heavy one is made in a thread, and sent when it is there."""
        if shown.update_id == self.sync.book.last_update_id or shown.making is not None:
            return
        if parameters.limit < HEAVY_LIMIT:
            shown.update_id, shown.frame = self.sync.book.last_update_id, self.frame_of(self.sync.book, parameters)
        else:
            shown.making = asyncio.create_task(self.make_heavy(parameters, shown))

    def frame_of(self, book: OrderBook, parameters: BookParameters) -> str:
        FRAMES.labels("book").inc()
        view = aggregate(book, parameters.limit, parameters.rounding)
        if not view.bids or not view.asks:
            return self.nothing_to_show(parameters)
        price = book.best_bid[0] if book.best_bid else None
        options = rounding_options(price_decimals(self.instrument), price)
        return orderbook_frame(view, parameters, self.instrument, options, clock_ms())

    def nothing_to_show(self, parameters: BookParameters) -> str:
        reason = f"there is nothing to show at a rounding of {parameters.rounding:f}"
        return plain_error_frame(f"Error streaming order book for {self.instrument.exchange_form}: {reason}")

    def is_too_coarse(self, parameters: BookParameters) -> bool:
        """Whether all bids would be at a price of 0."""
        best = self.sync.book.best_bid
        return best is not None and parameters.rounding > best[0]

    async def make_heavy(self, parameters: BookParameters, shown: Shown) -> None:
        """From a copy: the book goes on meanwhile, and is shown again if it has changed by then."""
        book = self.sync.book.copy()
        try:
            frame = await asyncio.to_thread(self.frame_of, book, parameters)
        finally:
            shown.making = None
        if not self.sync.is_live:
            return
        shown.update_id, shown.frame = book.last_update_id, frame
        if shown.frame != shown.sent:
            shown.send()
        if self.sync.book.last_update_id != shown.update_id:
            self.flush_soon()

    def close(self) -> None:
        if self.flushing is not None:
            self.flushing.cancel()
        for shown in self.shown.values():
            if shown.making is not None:
                shown.making.cancel()
