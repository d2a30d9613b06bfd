"""Keeps one symbol's 1m candles: tells the web processes of the running one, and the database of those that close."""

import asyncio
import time
from collections.abc import Sequence

import structlog
from msgspec.structs import replace

from marketdata.candles.building import TIMEFRAME, CandleBuilder
from marketdata.errors import LiquiError
from marketdata.timeframes import MINUTE_MS
from marketdata.types import Candle, Kline, Trade
from marketdata.venues.binance import VENUE
from streams.collecting.asking import Asker
from streams.collecting.chores import chore
from streams.collecting.closed_candles import ClosedCandles
from streams.collecting.posting import Post
from streams.collecting.soon import Soon
from streams.collecting.tallies import Tallies
from streams.market_messages import Feed, FeedKind, LiveCandles

logger = structlog.get_logger(__name__)

INTERVAL_S = 0.25  # between two messages
# The venue's last word on a minute comes by itself soon after its end; what is not mended by it is asked for.
REPAIR_AFTER_S = 3.0
REPAIRS = 4  # attempts
MOST_REPAIRED = 1000  # minutes, the newest


class CandleKeeper:
    """Takes the trades of a tape, and the venue's klines."""

    def __init__(self, symbol: str, post: Post, asker: Asker, closed: ClosedCandles, tallies: Tallies) -> None:
        self.symbol, self.post, self.asker, self.closed, self.tallies = symbol, post, asker, closed, tallies
        self.feed = Feed(FeedKind.CANDLES, symbol)
        self.builder = CandleBuilder(VENUE, symbol)
        self.is_live = False
        self.reason = ""  # why it is not live; nothing, while it is only on its way
        self.now_ms = 0  # by the venue's clock
        self.last_closed: Candle | None = None
        self.kline: Kline | None = None  # the newest, while trades from before it are missing
        self.soon = Soon(INTERVAL_S / asker.haste, self.publish)
        self.task: asyncio.Task[None] | None = None
        self.repair_s = 0.0  # when minutes that need it are asked for, if they still do

    def gained(self) -> None:
        """All trades come from now on."""
        self.is_live = True
        if self.kline is not None:
            self.take_kline(self.kline)
            self.kline = None
        self.publish()
        self.answer()

    def lost(self, reason: str) -> None:
        self.publish()
        self.is_live, self.reason = False, reason
        self.answer()

    def missed(self, from_ms: int) -> None:
        """Trades of this time or later are missing for good."""
        self.builder.lost(from_ms)

    def take_trades(self, trades: Sequence[Trade]) -> None:
        for trade in trades:
            self.builder.take_trade(trade)
        self.soon.ask()

    def take_kline(self, kline: Kline) -> None:
        """What is missing of the minute before comes first: else nobody would take it any more."""
        is_early = not kline.candle.is_closed and 0 < self.builder.current_ms < kline.candle.open_ms
        if kline.candle.timeframe != TIMEFRAME or is_early:
            return
        if self.is_live:
            self.builder.take_kline(kline)
            self.soon.ask()
        else:
            self.kline = kline

    def tick(self, now_ms: int, *, is_current: bool) -> None:
        """``is_current``: no trade before ``now_ms`` is on its way, so what is over can be closed."""
        self.now_ms, minute_ms = now_ms, self.builder.current_ms
        if is_current and (self.builder.close_until(now_ms) or self.builder.current_ms != minute_ms):
            self.soon.ask()
        self.look_for_repairs()

    def answer(self) -> None:
        """Say to whoever asks what there is."""
        if self.is_live:
            # The minute before the running one may be over, and not closed yet.
            self.send([*([self.last_closed] if self.last_closed else ()), *self.builder.open_candles])
        elif self.reason:
            self.post.state(self.feed, self.reason)

    def publish(self) -> None:
        """What has changed; while it is not live, that waits."""
        if self.is_live and (candles := self.changed()):
            self.send(candles)

    def changed(self) -> list[Candle]:
        """What is closed of it is on its way to the database."""
        candles = self.builder.changed()
        closed = [candle for candle in candles if candle.is_closed]
        self.closed.put(closed)
        self.last_closed = closed[-1] if closed else self.last_closed
        self.tallies.late_trades += self.builder.late
        self.builder.late = 0
        return candles

    def send(self, candles: Sequence[Candle]) -> None:
        event_ms = max(self.now_ms, self.builder.current_ms)
        self.post.post(self.feed, LiveCandles(symbol=self.symbol, candles=candles, event_ms=event_ms))

    def close(self) -> None:
        """What has closed by now is still stored."""
        self.soon.cancel()
        if self.task is not None:
            self.task.cancel()
        self.changed()
        self.leave_repairs()

    # Minutes that lack something

    def look_for_repairs(self) -> None:
        now_s = time.monotonic()
        if not self.builder.needs_repair or (self.task is not None and not self.task.done()):
            self.repair_s = now_s + REPAIR_AFTER_S / self.asker.haste
        elif now_s >= self.repair_s and self.is_live:
            self.task = chore(self.repairing())

    async def repairing(self) -> None:
        for attempt in range(1, REPAIRS + 1):
            if not self.builder.needs_repair:
                # The venue's last word has come by itself meanwhile.
                return
            last_ms = max(self.builder.needs_repair)
            first_ms = max(min(self.builder.needs_repair), last_ms - (MOST_REPAIRED - 1) * MINUTE_MS)
            try:
                self.repair(await self.venue_candles(first_ms, last_ms))
                break
            except LiquiError as error:
                await asyncio.sleep(self.asker.pause_s(attempt, error))
        self.leave_repairs()

    def leave_repairs(self) -> None:
        """To Celery, which finds the same minutes wanting."""
        if minutes := self.builder.needs_repair:
            logger.warning("minutes are left to be repaired later", symbol=self.symbol, minutes=len(minutes))
            self.closed.have_repaired(self.symbol, minutes)
            minutes.clear()

    async def venue_candles(self, first_ms: int, last_ms: int) -> list[Candle]:
        count = (last_ms - first_ms) // MINUTE_MS + 1
        return await self.asker.ask(
            lambda venue: venue.klines(self.symbol, TIMEFRAME, start_ms=first_ms, end_ms=last_ms, limit=count)
        )

    def repair(self, candles: Sequence[Candle]) -> None:
        # Minutes that we have closed are closed, whatever the venue's clock says.
        mended = [replace(each, is_closed=True) for each in candles if each.open_ms in self.builder.needs_repair]
        self.builder.needs_repair -= {each.open_ms for each in mended}
        self.closed.put(mended)
        if self.is_live and mended:
            self.send(mended)
