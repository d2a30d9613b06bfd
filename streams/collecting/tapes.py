"""Keeps one symbol's tape: its trades, each once and none missing as far as the venue can tell."""

import asyncio
import time
from collections.abc import Sequence

import structlog

from marketdata.errors import LiquiError
from marketdata.rest.troubles import venue_words
from marketdata.trades import TradeTape
from marketdata.types import Trade
from streams.collecting.asking import Asker
from streams.collecting.candles import CandleKeeper
from streams.collecting.chores import chore
from streams.collecting.posting import Post
from streams.collecting.soon import Soon
from streams.collecting.tallies import Tallies
from streams.market_messages import Feed, FeedKind, NewTrades, Tape

logger = structlog.get_logger(__name__)

BATCH_S = 0.05  # trades that come within it are sent together
PAGE = 1000  # trades: all that the venue gives at a time
REORDERING_S = 0.2  # a trade may come a moment after its successor: two connections are read while one takes over
PATIENCE_S = 5.0  # for trades that were missed
MOST_MISSING = 5 * PAGE  # a longer hole is not filled: the tape begins anew


class TapeKeeper:
    """Gives the trades to ``candles``, where candles are wanted, and to the web processes while ``is_wanted``."""

    def __init__(self, symbol: str, post: Post, asker: Asker, tallies: Tallies) -> None:
        self.symbol, self.post, self.asker, self.tallies = symbol, post, asker, tallies
        self.feed = Feed(FeedKind.TRADES, symbol)
        self.tape = TradeTape()
        self.is_wanted = False
        self.candles: CandleKeeper | None = None
        self.is_received = self.is_joined = False  # joined: what was there before has been asked for
        self.reason = ""  # why it is not live; nothing, while it is only on its way
        self.skips = 0  # of the tape's, that were told of
        self.pending: list[Trade] = []
        self.soon = Soon(BATCH_S, self.flush)
        self.task: asyncio.Task[None] | None = None
        self.lacks_history = False  # it was not to be had in time
        self.late: asyncio.Task[None] | None = None

    @property
    def is_live(self) -> bool:
        return self.is_joined

    @property
    def is_current(self) -> bool:
        """Whether no trade up to now is known to be missing."""
        return self.is_joined and self.tape.missing is None

    def feed_candles(self, candles: CandleKeeper | None) -> None:
        """From now on; what is known already first."""
        if candles is not None and candles is not self.candles:
            candles.take_trades(self.tape.snapshot())
            if self.is_joined:
                candles.gained()
        self.candles = candles

    def gained(self) -> None:
        self.is_received = True
        self.start()

    def lost(self, reason: str) -> None:
        self.flush()
        self.cancel()
        self.is_received = self.is_joined = False
        self.reason = reason
        self.answer()
        if self.candles is not None:
            self.candles.lost(reason)

    def take(self, trade: Trade) -> None:
        self.handed_on(self.tape.last, self.tape.take([trade]))
        if self.is_received and self.is_joined and self.tape.missing is not None:
            self.start()

    def answer(self) -> None:
        """Say to whoever asks what there is."""
        if not self.is_wanted:
            return
        if self.is_joined:
            # What waits to be sent is in it.
            self.pending.clear()
            self.post.post(self.feed, Tape(symbol=self.symbol, trades=self.tape.snapshot()))
        elif self.reason:
            self.post.state(self.feed, self.reason)

    def handed_on(self, before: Trade | None, trades: list[Trade]) -> None:
        """``before``: the last trade until then."""
        self.tallies.trades += len(trades)
        if self.candles is not None and trades:
            self.candles.take_trades(trades)
        if self.is_wanted and trades:
            self.pending += trades
            self.soon.ask()
        if self.tape.skipped + self.tape.restarts > self.skips:
            self.skips = self.tape.skipped + self.tape.restarts
            self.gave_up(before)

    def gave_up(self, before: Trade | None) -> None:
        """Of what came after ``before``, something is missing for good."""
        self.tallies.trade_gaps += 1
        if self.candles is not None and before is not None:
            self.candles.missed(before.event_ms)

    def flush(self) -> None:
        if self.pending and self.is_wanted:
            self.post.post(self.feed, NewTrades(symbol=self.symbol, trades=self.pending))
        self.pending = []

    # With the venue's history

    def start(self) -> None:
        if self.task is None or self.task.done():
            self.task = chore(self.joining())

    async def joining(self) -> None:
        """Have what came before and what is missing, or do without it before it gets old."""
        until_s = time.monotonic() + PATIENCE_S / self.asker.haste
        attempts = 0
        if self.is_joined:
            await asyncio.sleep(REORDERING_S / self.asker.haste)
        while not self.is_current:
            fault: LiquiError | None = None
            try:
                if await self.ask():
                    continue
            except LiquiError as error:
                fault = error
                self.tell(venue_words(error))
            attempts += 1
            wait_s = self.asker.pause_s(attempts, fault)
            if time.monotonic() + wait_s > until_s:
                self.give_up(fault)
            else:
                await asyncio.sleep(wait_s)

    def tell(self, reason: str) -> None:
        """Why it takes so long until it is live."""
        if not self.is_joined:
            self.reason = reason
            self.answer()

    async def ask(self) -> bool:
        """One request to the venue; whether it has brought the tape forward. Raises `LiquiError`."""
        if not self.tape.is_seeded:
            return await self.seed()
        if self.hole_size > MOST_MISSING:
            self.begin_anew()
            return True
        return await self.fill()

    async def seed(self) -> bool:
        history = await self.asker.ask(lambda venue: venue.agg_trades(self.symbol, limit=PAGE))
        self.tape.seed(history)
        self.joined_from_history()
        return True

    async def fill(self) -> bool:
        """What is missing, or was traded while nothing was received."""
        next_id = self.tape.next_id
        if next_id is None:
            self.joined()
            return True
        limit = min(self.hole_size, PAGE) if self.is_joined else PAGE
        trades = await self.asker.ask(lambda venue: venue.agg_trades(self.symbol, from_id=next_id, limit=limit))
        self.handed_on(self.tape.last, self.tape.fill(trades))
        if not self.is_joined and len(trades) < limit:
            self.joined()
        return self.tape.next_id != next_id

    @property
    def hole_size(self) -> int:
        hole = self.tape.missing
        return hole[1] - hole[0] + 1 if hole else 0

    def begin_anew(self) -> None:
        """So much is missing that the newest trades are worth more than the whole."""
        self.gave_up(self.tape.last)
        waiting = list(self.tape.waiting.values())
        if self.late is not None:
            self.late.cancel()
        self.late, self.lacks_history = None, False
        self.tape, self.is_joined, self.skips = TradeTape(), False, 0
        self.tape.take(waiting)

    def give_up(self, fault: LiquiError | None) -> None:
        reason = str(fault or "the venue does not have them")
        before = self.tape.last
        if self.tape.is_seeded:
            if self.tape.missing is None:
                # What was traded while nothing was received nobody knows.
                logger.warning("trades may be missing for good", symbol=self.symbol, reason=reason)
                self.gave_up(before)
            else:
                logger.warning("trades are missing for good", symbol=self.symbol, count=self.hole_size, reason=reason)
            self.handed_on(before, self.tape.give_up())
            self.joined()
        else:
            logger.warning("a tape begins without the past trades", symbol=self.symbol, reason=reason)
            self.tape.give_up()
            self.lacks_history = True
            self.joined_from_history()

    async def have_history(self) -> None:
        """Ask for what came before the tape's beginning until the venue tells it."""
        attempts, fault = 1, None
        while self.lacks_history:
            await asyncio.sleep(self.asker.pause_s(attempts, fault))
            try:
                history = await self.asker.ask(lambda venue: venue.agg_trades(self.symbol, limit=PAGE))
            except LiquiError as error:
                attempts, fault = attempts + 1, error
            else:
                self.lacks_history = False
                self.take_history(history)
                self.answer()

    def take_history(self, history: Sequence[Trade]) -> None:
        if self.tape.last is None:
            self.handed_on(None, self.tape.seed(history))
        else:
            # What is missing since the beginning is being asked for.
            self.tape.prepend(history)

    def joined_from_history(self) -> None:
        if self.candles is not None:
            self.candles.take_trades(self.tape.snapshot())
        self.joined()

    def joined(self) -> None:
        if not self.is_joined:
            self.is_joined = True
            self.answer()
            if self.lacks_history:
                self.late = chore(self.have_history())
            if self.candles is not None:
                self.candles.gained()

    def close(self) -> None:
        self.cancel()

    def cancel(self) -> None:
        self.soon.cancel()
        for task in (self.task, self.late):
            if task is not None:
                task.cancel()
        self.task = self.late = None
