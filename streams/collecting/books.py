"""Keeps one symbol's order book in step with the venue, and the web processes in step with it."""

import asyncio
import time
from collections.abc import Callable

import structlog

from marketdata.books.sync import BookSync
from marketdata.errors import LiquiError
from marketdata.rest.troubles import venue_words
from marketdata.types import DepthDelta, DepthSnapshot
from streams.collecting.asking import Asker
from streams.collecting.chores import chore
from streams.collecting.posting import Post
from streams.collecting.tallies import Tallies
from streams.market_messages import Feed, FeedKind

logger = structlog.get_logger(__name__)

LEVELS = 1000  # of a snapshot: all that the venue gives
CALM_S = 10.0  # for which a book must have lived before its next rebuild begins without a pause
# A book without an update for so long is compared with the venue's; each time that they agree, twice as long.
SILENCE_S, LONGEST_SILENCE_S = 10.0, 160.0
IN_FLIGHT_S = 1.0  # that an update may take longer than a snapshot


class BookKeeper:
    """``renew`` is called when the venue's book has moved on and nothing of it has come: the connection is mute."""

    def __init__(self, symbol: str, post: Post, asker: Asker, tallies: Tallies, renew: Callable[[], None]) -> None:
        self.symbol, self.post, self.asker, self.tallies, self.renew = symbol, post, asker, tallies, renew
        self.feed = Feed(FeedKind.BOOK, symbol)
        self.sync = BookSync(symbol)
        self.reason = ""  # why it is not live; nothing, while it is only on its way
        self.task: asyncio.Task[None] | None = None
        self.rebuilds = 0  # since it was calm
        self.attempts = 0  # at the next one, after which pauses grow: those before count, too
        self.lost_s = self.lived_s = self.heard_s = time.monotonic()
        self.silence_s = SILENCE_S
        self.is_comparing = False

    @property
    def is_live(self) -> bool:
        return self.sync.is_live

    def gained(self) -> None:
        """Its stream is received from now on."""
        self.rebuilds = 0
        self.heard()
        self.rebuild()

    def lost(self, reason: str) -> None:
        """Its stream is not received any more."""
        self.cancel()
        self.sync.lost(reason)
        self.dies(reason)

    def take(self, delta: DepthDelta) -> None:
        self.heard()
        was_live = self.sync.is_live
        if self.sync.take_delta(delta):
            self.post.post(self.feed, delta)
        elif was_live and not self.sync.is_live:
            self.tallies.book_gaps += 1
            logger.warning("an order book is lost", symbol=self.symbol, reason=self.sync.reason)
            self.cancel()
            self.dies(self.sync.reason)
        if not self.sync.is_live:
            self.rebuild()

    def answer(self) -> None:
        """Say to whoever asks what there is."""
        if self.sync.is_live:
            self.post.post(self.feed, self.sync.book.snapshot(self.sync.book.event_ms))
        elif self.reason:
            self.post.state(self.feed, self.reason)

    def heard(self) -> None:
        self.heard_s, self.silence_s = time.monotonic(), SILENCE_S

    def dies(self, reason: str) -> None:
        self.reason, self.lost_s = reason, time.monotonic()
        if self.lost_s - self.lived_s > CALM_S:
            self.rebuilds = 0
        self.answer()

    def lives(self) -> None:
        self.tallies.books_rebuilt += 1
        self.rebuilds += 1
        self.lived_s = time.monotonic()
        if self.attempts > 1 or self.sync.gaps:
            logger.info(
                "an order book is live again",
                symbol=self.symbol,
                after_s=round(self.lived_s - self.lost_s, 2),
                attempts=self.attempts,
            )
        self.answer()

    # With the venue's snapshots

    def rebuild(self) -> None:
        if self.task is None or self.task.done():
            self.task = chore(self.rebuilding())

    async def rebuilding(self) -> None:
        # What was refused the last time says nothing of this time.
        self.attempts, fault = self.rebuilds, None
        while self.sync.needs_snapshot:
            if self.attempts:
                await asyncio.sleep(self.asker.pause_s(self.attempts, fault))
            self.attempts += 1
            try:
                snapshot, fault = await self.ask(), None
            except LiquiError as error:
                fault = error
                self.told(error)
                continue
            self.begin_with(snapshot)

    async def ask(self) -> DepthSnapshot:
        return await self.asker.ask(lambda venue: venue.depth(self.symbol, LEVELS))

    def told(self, fault: LiquiError) -> None:
        reason = f"no snapshot: {venue_words(fault)}"
        if reason != self.reason:
            logger.warning("an order book cannot be rebuilt yet", symbol=self.symbol, reason=str(fault))
            self.reason = reason
            self.answer()

    # When nothing comes

    def is_silent(self, now_s: float) -> bool:
        """Whether it is time to `compare` it with the venue's."""
        return self.sync.is_live and now_s - self.heard_s > self.silence_s / self.asker.haste

    def compare(self) -> None:
        """Ask whether the venue's book has moved on: a quiet market looks like a connection that is mute."""
        self.is_comparing = True
        self.task = chore(self.comparing())
        self.task.add_done_callback(self.compared)

    def compared(self, task: asyncio.Task[None]) -> None:
        self.is_comparing = False

    async def comparing(self) -> None:
        heard_s, update_id = self.heard_s, self.sync.book.last_update_id
        try:
            snapshot = await self.ask()
            # What is on its way may come.
            await asyncio.sleep(IN_FLIGHT_S / self.asker.haste)
        except LiquiError as error:
            # Asked again as long as nothing comes.
            await asyncio.sleep(self.asker.pause_s(1, error))
            return
        if self.heard_s != heard_s:
            return
        self.silence_s = min(2 * self.silence_s, LONGEST_SILENCE_S)
        self.heard_s = time.monotonic()
        if snapshot.last_update_id > update_id:
            self.tallies.book_gaps += 1
            logger.warning("an order book has moved on, but no update has come", symbol=self.symbol)
            self.renew()
            self.begin_with(snapshot)

    def begin_with(self, snapshot: DepthSnapshot) -> None:
        if self.sync.take_snapshot(snapshot):
            self.lives()

    def close(self) -> None:
        self.cancel()

    def cancel(self) -> None:
        if self.task is not None:
            self.task.cancel()
            self.task = None
