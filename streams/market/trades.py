"""One symbol's newest trades in a web process: the whole list for terminals, or only what is new."""

import asyncio
import time
from collections import deque
from collections.abc import Sequence

import msgspec

from marketdata.clock import clock_ms
from marketdata.trades import TradeTape
from marketdata.types import Instrument, Trade
from streams.figures import FRAMES
from streams.market.replica import FeedReplica
from streams.market_messages import Feed, FeedMessage, NewTrades, Tape
from streams.messages import plain_error_frame
from streams.outgoing import Outgoing
from streams.trade_frames import SHOWN, trade_rows, trades_frame

INTERVAL_S = 0.2  # between two whole lists: each holds what the one before lacked
PATIENCE_S = 3.0  # for trades that were missed; the list goes on without them then


class TradesReplica(FeedReplica):
    """The last `SHOWN` trades of a symbol, newest first, none twice."""

    what = "trades"

    def __init__(self, feed: Feed, instrument: Instrument) -> None:
        super().__init__(feed, instrument)
        self.tape = TradeTape()
        self.rows: deque[msgspec.Raw] = deque(maxlen=SHOWN)  # as JSON, newest first
        self.lists: set[Outgoing] = set()
        self.deltas: set[Outgoing] = set()
        self.is_seeded = asyncio.Event()
        self.flushed_s = 0.0
        self.flushing: asyncio.TimerHandle | None = None
        self.hole_s: float | None = None  # since when trades are missing
        self.last_id: int | None = None  # of the trade that was handed on last

    def take_data(self, message: FeedMessage) -> None:
        if isinstance(message, Tape):
            self.take_tape(message.trades)
        elif isinstance(message, NewTrades) and self.is_seeded.is_set():
            self.handed_on(self.tape.take(message.trades))

    def needs_beginning(self) -> bool:
        return not self.is_seeded.is_set() or self.tape.missing is not None

    def tick(self, now_s: float) -> None:
        super().tick(now_s)
        if self.tape.missing is None:
            self.hole_s = None
        elif self.hole_s is None:
            self.hole_s = now_s
        elif now_s - self.hole_s > PATIENCE_S:
            self.hole_s = None
            self.handed_on(self.tape.give_up())

    def take_tape(self, trades: Sequence[Trade]) -> None:
        """What is new of it; and the collector may have been told late what came before its first trade."""
        before = len(self.tape.kept)
        handed_on = self.tape.seed(trades)
        self.handed_on(handed_on)
        self.is_seeded.set()
        if len(self.tape.kept) > before + len(handed_on):
            self.rows.extend(trade_rows(self.tape.newest(SHOWN)[len(self.rows) :], self.instrument))
            self.flush_soon()

    def handed_on(self, trades: Sequence[Trade]) -> None:
        """These follow those before."""
        if not trades:
            return
        rows = trade_rows(trades, self.instrument)
        self.rows.extendleft(rows)
        self.send_new(trades, rows)
        self.flush_soon()

    def send_new(self, trades: Sequence[Trade], rows: Sequence[msgspec.Raw]) -> None:
        """Whoever adds up new trades must know where some are not to be had; a list speaks for itself."""
        run: list[msgspec.Raw] = []
        for trade, row in zip(trades, rows, strict=True):
            missing = 0 if self.last_id is None else trade.id - self.last_id - 1
            if missing > 0 or len(run) == SHOWN:
                self.send(self.deltas, run[::-1])
                run = []
            if missing > 0:
                self.tell_missing(missing)
            run.append(row)
            self.last_id = trade.id
        self.send(self.deltas, run[::-1])

    def tell_missing(self, count: int) -> None:
        what = f"{count} trades are missing here" if count > 1 else "a trade is missing here"
        frame = plain_error_frame(f"Error streaming trades for {self.instrument.exchange_form}: {what}")
        for outgoing in tuple(self.deltas):
            outgoing.put(frame)

    def flush_soon(self) -> None:
        if self.lists and self.flushing is None:
            wait_s = max(0.0, self.flushed_s + INTERVAL_S - time.monotonic())
            self.flushing = asyncio.get_running_loop().call_later(wait_s, self.flush)

    def flush(self) -> None:
        self.flushing, self.flushed_s = None, time.monotonic()
        self.send(self.lists, list(self.rows))

    def send(self, to: set[Outgoing], rows: Sequence[msgspec.Raw]) -> None:
        if not to or not rows:
            return
        frame = trades_frame(self.feed.symbol, rows, clock_ms(), initial=False)
        FRAMES.labels("trades").inc()
        for outgoing in tuple(to):
            # A whole list makes the one before needless; new trades alone do not.
            (outgoing.put_newest if to is self.lists else outgoing.put)(frame)

    def tell(self) -> None:
        for outgoing in (*self.lists, *self.deltas):
            outgoing.put(self.error_text())

    def join(self, outgoing: Outgoing, *, only_new: bool) -> None:
        """Send the list as it is, and what comes."""
        outgoing.put(trades_frame(self.feed.symbol, list(self.rows), clock_ms(), initial=True))
        (self.deltas if only_new else self.lists).add(outgoing)

    def leave(self, outgoing: Outgoing) -> None:
        self.lists.discard(outgoing)
        self.deltas.discard(outgoing)

    def close(self) -> None:
        if self.flushing is not None:
            self.flushing.cancel()
