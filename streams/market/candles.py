"""One symbol's candles in a web process: the running minute, rolled up once for all charts of a timeframe."""

import asyncio
from collections.abc import Sequence

import structlog
from django.db import Error as DatabaseError

from database.errors import QueryTimeout
from marketdata.candles.history import candles_between, running_parts
from marketdata.candles.rolling import RunningCandle
from marketdata.errors import LiquiError
from marketdata.timeframes import MINUTE_MS, candle_close_ms, candle_open_ms
from marketdata.types import Candle, Instrument
from streams.candle_frames import update_frame
from streams.figures import FRAMES
from streams.market.ranges import MAX_CANDLES
from streams.market.replica import FeedReplica
from streams.market_messages import Feed, FeedMessage, LiveCandles
from streams.messages import plain_error_frame
from streams.outgoing import Outgoing
from streams.reading import read_from_venue

logger = structlog.get_logger(__name__)

RETRY_S = 5.0
MAX_WAITING = 1000  # messages while the past is read; older ones are in what is read
# What reading the past may raise and will not raise for ever.
UNREADABLE = (LiquiError, DatabaseError, QueryTimeout)


class Chart:
    """One socket's view of a timeframe: what comes before its history is sent waits behind that."""

    def __init__(self, outgoing: Outgoing) -> None:
        self.outgoing = outgoing
        self.held: dict[int, tuple[Candle, str]] | None = {}  # of each candle the newest frame, by its opening
        self.last: Candle | None = None  # of the history

    def take(self, candle: Candle, frame: str, *, is_over: bool = False) -> None:
        """``is_over``: the next one follows, and this one is not sent again."""
        if self.held is not None:
            self.held[candle.open_ms] = candle, frame
        elif self.is_known(candle):
            return
        elif is_over or candle.is_closed:
            self.outgoing.put_last(frame)
        else:
            self.outgoing.put_newest(frame)

    def open(self, last: Candle | None) -> None:
        """The history has been sent, whose last candle this is."""
        self.last, held, self.held = last, self.held or {}, None
        newest_ms = max(held, default=0)
        for open_ms in sorted(held):
            self.take(*held[open_ms], is_over=open_ms < newest_ms)

    def is_known(self, candle: Candle) -> bool:
        """Whether the history has more than this: the venue's REST may be ahead of its streams, and charts do not go
        back."""
        if self.last is None or candle.open_ms > self.last.open_ms:
            return False
        return candle.open_ms < self.last.open_ms or (not candle.is_closed and candle.volume < self.last.volume)


class Series:
    """The running candle of one timeframe, kept up from the minutes as they come, for all charts that show it."""

    def __init__(self, instrument: Instrument, timeframe: str) -> None:
        self.instrument, self.timeframe = instrument, timeframe
        self.charts: set[Chart] = set()
        self.waiting: asyncio.Queue[LiveCandles] = asyncio.Queue(MAX_WAITING)
        self.running: RunningCandle | None = None
        self.minute_ms = 0  # that was taken last
        self.last: tuple[Candle, str] | None = None  # candle and frame that were sent last
        self.before: tuple[Candle, str] | None = None  # the same of the candle before
        self.task = asyncio.create_task(self.run())

    def take(self, message: LiveCandles) -> None:
        if self.waiting.full():
            self.waiting.get_nowait()
        self.waiting.put_nowait(message)

    async def run(self) -> None:
        while True:
            message = await self.waiting.get()
            try:
                await self.take_minutes(message)
            except Exception as error:
                if not isinstance(error, UNREADABLE):
                    logger.exception("a candle could not be taken")
                self.failed(error)
                await asyncio.sleep(RETRY_S)

    async def take_minutes(self, message: LiveCandles) -> None:
        opens = {minute.open_ms for minute in message.candles}
        for minute in message.candles:
            # With the first word on a minute comes the last one on the minute before: where it does not, messages are
            # missing, and how that minute has ended is not known here.
            is_next = minute.open_ms <= self.minute_ms or minute.open_ms - MINUTE_MS in opens
            await self.advance(minute, message.event_ms, is_next=is_next)

    async def advance(self, minute: Candle, event_ms: int, *, is_next: bool) -> None:
        """Raises what reading the past raises; then nothing of the minute was taken."""
        if self.running is None or minute.open_ms > self.minute_ms + MINUTE_MS:
            await self.begin(minute)
        elif not is_next:
            await self.begin_if_possible(minute)
        if self.running is None:
            return
        self.minute_ms = max(self.minute_ms, minute.open_ms)
        candles = self.running.take(minute)
        for candle in candles:
            self.send(candle, event_ms, is_over=candle is not candles[-1])

    async def begin(self, minute: Candle) -> None:
        """Read what of the present candle, and of those that were missed, lies before this minute."""
        open_ms = candle_open_ms(self.timeframe, minute.open_ms)
        parts = await read_from_venue(running_parts, minute.symbol, self.timeframe, open_ms, minute.open_ms)
        missed = await self.missed(open_ms)
        running = RunningCandle(self.timeframe)
        running.seed(parts)
        self.running, self.minute_ms = running, minute.open_ms
        for candle in missed:
            self.send(candle, candle_close_ms(self.timeframe, candle.open_ms))

    async def begin_if_possible(self, minute: Candle) -> None:
        """Of the minute before only the last words were missed: charts go on, whatever can be read."""
        try:
            await self.begin(minute)
        except UNREADABLE as error:
            logger.warning(f"{minute.symbol} {self.timeframe}: a minute may have ended otherwise than shown: {error}")

    async def missed(self, until_ms: int) -> Sequence[Candle]:
        """Candles since the one that was sent last, itself included, that open before ``until_ms``."""
        if self.last is None or self.last[0].open_ms >= until_ms:
            return []
        window = self.last[0].open_ms, until_ms, MAX_CANDLES
        return await read_from_venue(candles_between, self.instrument.symbol, self.timeframe, *window)

    def send(self, candle: Candle, event_ms: int, *, is_over: bool = False) -> None:
        # Charts take no candle that is older than their newest one; the table has what is said of it later.
        if self.last is not None and candle.open_ms < self.last[0].open_ms:
            return
        frame = update_frame(candle, event_ms)
        if frame is None:
            logger.warning("a candle that cannot be drawn is left out", candle=repr(candle))
            return
        if self.last is not None and candle.open_ms > self.last[0].open_ms:
            self.before = self.last
        self.last = candle, frame
        FRAMES.labels("candles").inc()
        for chart in tuple(self.charts):
            chart.take(candle, frame, is_over=is_over)

    def failed(self, error: Exception) -> None:
        # From here on the minutes have a hole, and the next one begins anew.
        self.running = None
        logger.warning(f"{self.instrument.symbol} {self.timeframe}: candles stand still: {error}")
        for chart in tuple(self.charts):
            chart.outgoing.put(candle_error_frame(self.instrument, self.timeframe, "the candles before cannot be read"))

    def join(self, chart: Chart) -> None:
        self.charts.add(chart)
        # The history may be a moment old, and end with the candle before as it was then.
        for sent in (self.before, self.last):
            if sent is not None:
                chart.take(*sent)

    def close(self) -> None:
        self.task.cancel()


class CandleReplica(FeedReplica):
    """All timeframes of a symbol that are being shown."""

    what = "candles"

    def __init__(self, feed: Feed, instrument: Instrument) -> None:
        super().__init__(feed, instrument)
        self.series: dict[str, Series] = {}
        self.is_live = asyncio.Event()

    def take_data(self, message: FeedMessage) -> None:
        if isinstance(message, LiveCandles):
            self.is_live.set()
            for series in self.series.values():
                series.take(message)

    def needs_beginning(self) -> bool:
        return not self.is_live.is_set()

    def lose(self, reason: str) -> None:
        self.is_live.clear()
        super().lose(reason)

    def tell(self) -> None:
        for timeframe, series in self.series.items():
            for chart in tuple(series.charts):
                chart.outgoing.put(self.error_text(timeframe))

    def join(self, timeframe: str, chart: Chart) -> None:
        if timeframe not in self.series:
            self.series[timeframe] = Series(self.instrument, timeframe)
        self.series[timeframe].join(chart)

    def leave(self, timeframe: str, chart: Chart) -> None:
        if series := self.series.get(timeframe):
            series.charts.discard(chart)
            if not series.charts:
                self.series.pop(timeframe).close()

    def close(self) -> None:
        for series in self.series.values():
            series.close()


def candle_error_frame(instrument: Instrument, timeframe: str, reason: str) -> str:
    return plain_error_frame(f"Error streaming candles for {instrument.exchange_form} {timeframe}: {reason}")
