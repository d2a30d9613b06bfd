"""The sockets of order books, trades and candles, as trading terminals open them."""

import asyncio
import math
from contextlib import suppress
from typing import Any, Generic, TypeVar

from django.conf import settings

from marketdata.books.parameters import AskedParameters, BadBookParameters
from marketdata.candles.history import candle_history
from marketdata.clock import clock_ms
from marketdata.errors import LiquiError, UnknownSymbol
from marketdata.instruments import instrument_find
from marketdata.rest.troubles import NOTHING_FOLLOWED, in_words
from marketdata.symbols.service import SymbolNotFound, symbol_find
from marketdata.timeframes import TIMEFRAMES, candle_open_ms, candle_shifted_ms
from marketdata.types import Candle, Instrument
from marketdata.venue import COLLECTING_FEEDS
from streams.book_frames import params_updated_frame
from streams.candle_frames import history_frame
from streams.market.books import BookReplica
from streams.market.candles import CandleReplica, Chart
from streams.market.hub import market_hub
from streams.market.ranges import DEFAULT_WIDTH, ChartRange, candle_count
from streams.market.replica import FeedReplica
from streams.market.trades import TradesReplica
from streams.market_messages import Feed, FeedKind
from streams.messages import plain_error_frame
from streams.outgoing import Outgoing
from streams.reading import read, read_from_venue
from streams.sockets.base import Fatal, Socket

LIVE_WITHIN_S = 3.0  # a feed that others use is live already, and one that is asked for anew soon is
MIN_WIDTH, MAX_WIDTH = 300, 3000  # pixels of a chart
BAD_TIMEFRAME = f"Invalid timeframe. Valid options: {', '.join(TIMEFRAMES)}"

R = TypeVar("R", bound=FeedReplica)


async def instrument_of(symbol: str) -> Instrument:
    """Raises `SymbolNotFound`, and Django's database errors."""
    # The table may be empty yet, and then the venue is asked: who asks for a symbol that it has does not wait for that.
    return await read(instrument_find, symbol) or await read_from_venue(symbol_find, symbol)


class MarketSocket(Socket, Generic[R]):
    """Shows one feed of one symbol, which is named in the path or, as some specifications have it, in the query."""

    kind: FeedKind
    fatal_errors = (Fatal, SymbolNotFound)
    replica_type: type[R]

    def __init__(self) -> None:
        super().__init__()
        self.replica: R | None = None

    @property
    def arguments(self) -> dict[str, Any]:
        scope: Any = self.scope
        return self.query | scope["url_route"]["kwargs"]

    async def serve(self) -> None:
        self.instrument = await instrument_of(self.arguments.get("symbol", ""))
        outgoing = self.outgoing
        if outgoing is None:
            return
        await self.prepare()
        feed = Feed(self.kind, self.instrument.symbol)
        if settings.LIQUI_FEED not in COLLECTING_FEEDS:
            await self.show_past(outgoing)
            self.put(plain_error_frame(f"No live {self.feed} for {self.instrument.exchange_form}: {NOTHING_FOLLOWED}"))
            return
        self.replica = market_hub().acquire(feed, lambda feed: self.replica_type(feed, self.instrument))
        await self.show(self.replica, outgoing)

    async def prepare(self) -> None:
        """Check the rest of what was asked. Raises `Fatal`."""

    async def show_past(self, outgoing: Outgoing) -> object:
        """Send what is stored, where nothing is collected."""

    async def show(self, replica: R, outgoing: Outgoing) -> None:
        """Send what the feed begins with, and have it send what comes."""
        raise NotImplementedError

    def leave(self, replica: R, outgoing: Outgoing) -> None:
        """Have it send nothing more."""
        raise NotImplementedError

    def release(self) -> None:
        super().release()
        if self.replica is not None and self.outgoing is not None:
            replica, self.replica = self.replica, None
            self.leave(replica, self.outgoing)
            market_hub().release(replica.feed)


class OrderBookSocket(MarketSocket[BookReplica]):
    """An aggregated order book; ``update_params`` changes depth and rounding at any time."""

    feed = "order book"
    kind = FeedKind.BOOK
    replica_type = BookReplica

    def __init__(self) -> None:
        super().__init__()
        self.early: list[dict[str, Any]] | None = []  # what came before the book was open; None: it will not be

    def is_acceptable(self) -> bool:
        try:
            self.asked = AskedParameters.from_query(self.query)
        except BadBookParameters:
            return False
        return True

    async def prepare(self) -> None:
        self.parameters = self.asked.within(self.instrument, settings.MAX_ORDERBOOK_LIMIT)

    async def show(self, replica: BookReplica, outgoing: Outgoing) -> None:
        replica.join(self.parameters, outgoing)
        for message in self.early or ():
            self.update(replica, outgoing, message)
        self.early = None

    async def show_past(self, outgoing: Outgoing) -> None:
        self.early = None

    def leave(self, replica: BookReplica, outgoing: Outgoing) -> None:
        replica.leave(self.parameters, outgoing)

    async def answer(self, message: Any) -> None:
        if not isinstance(message, dict) or message.get("type") != "update_params":
            await super().answer(message)
        elif self.replica is not None and self.outgoing is not None:
            self.update(self.replica, self.outgoing, message)
        elif self.early is not None:
            # Clients that know what they want say so at once.
            self.early.append(message)
        else:
            self.put(plain_error_frame("Error processing message: there is no live order book"))

    def update(self, replica: BookReplica, outgoing: Outgoing, message: dict[str, Any]) -> None:
        try:
            asked = self.asked.updated(message)
            parameters = asked.within(self.instrument, settings.MAX_ORDERBOOK_LIMIT)
            if replica.is_too_coarse(parameters):
                raise BadBookParameters(f"rounding {parameters.rounding:f} is above every bid")
        except BadBookParameters as error:
            # What was shown is shown on.
            self.put(plain_error_frame(f"Error processing message: {error}"))
            return
        replica.leave(self.parameters, outgoing)
        self.asked, self.parameters = asked, parameters
        self.put(params_updated_frame(message.get("limit"), message.get("rounding")))
        replica.join(self.parameters, outgoing)


class TradesSocket(MarketSocket[TradesReplica]):
    """The last hundred trades again and again, or with ``mode=delta`` only those that are new."""

    feed = "trades"
    kind = FeedKind.TRADES
    replica_type = TradesReplica

    async def prepare(self) -> None:
        mode = self.query.get("mode", "list")
        if mode not in ("list", "delta"):
            raise Fatal(f"Invalid mode {mode!r}. Valid options: list, delta")

    async def show(self, replica: TradesReplica, outgoing: Outgoing) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(LIVE_WITHIN_S):
                await replica.is_seeded.wait()
        if not replica.is_seeded.is_set():
            reason = replica.fault or "no collector has answered yet"
            outgoing.put(plain_error_frame(f"Failed to load initial trades: {reason}"))
        elif replica.fault:
            outgoing.put(replica.error_text())
        replica.join(outgoing, only_new=self.query.get("mode") == "delta")

    def leave(self, replica: TradesReplica, outgoing: Outgoing) -> None:
        replica.leave(outgoing)


class CandlesSocket(MarketSocket[CandleReplica]):
    """A chart's candles: those before, as many as its width shows, then each change of the running one."""

    feed = "candles"
    kind = FeedKind.CANDLES
    replica_type = CandleReplica

    def __init__(self) -> None:
        super().__init__()
        self.chart: Chart | None = None
        self.range: ChartRange | None = None

    def is_acceptable(self) -> bool:
        width = self.query.get("container_width")
        return width is None or is_width(width)

    @property
    def width(self) -> float:
        """The chart's, in pixels; the shipped terminal calls it ``limit``, and means the same."""
        for name in ("container_width", "limit"):
            with suppress(KeyError, ValueError):
                width = float(self.query[name])
                if math.isfinite(width):
                    return width
        return DEFAULT_WIDTH

    async def prepare(self) -> None:
        self.timeframe = self.arguments.get("timeframe", "")
        if self.timeframe not in TIMEFRAMES:
            raise Fatal(BAD_TIMEFRAME)
        self.count = candle_count(self.width)
        newest_ms = candle_open_ms(self.timeframe, clock_ms())
        start_ms = candle_shifted_ms(self.timeframe, newest_ms, 1 - self.count)
        self.range = ChartRange(self.client, self.instrument.symbol, self.timeframe, start_ms)
        market_hub().ranges.note(self.range)

    async def show(self, replica: CandleReplica, outgoing: Outgoing) -> None:
        self.chart = Chart(outgoing)
        # Live first: what the history does not hold any more comes behind it.
        replica.join(self.timeframe, self.chart)
        with suppress(TimeoutError):
            async with asyncio.timeout(LIVE_WITHIN_S):
                await replica.is_live.wait()
        candles = await self.show_past(outgoing)
        if replica.fault:
            outgoing.put(replica.error_text(self.timeframe))
        self.chart.open(candles[-1] if candles else None)

    async def show_past(self, outgoing: Outgoing) -> list[Candle]:
        candles: list[Candle] = []
        try:
            candles = await read_from_venue(candle_history, self.instrument.symbol, self.timeframe, self.count)
        except UnknownSymbol:
            outgoing.put(history_frame(self.instrument, self.timeframe, candles))
        except LiquiError as error:
            reason = in_words(error)
            outgoing.put(plain_error_frame(f"Failed to load candles for {self.instrument.exchange_form}: {reason}"))
        else:
            outgoing.put(history_frame(self.instrument, self.timeframe, candles))
        if self.range is not None:
            self.range.settle(candles[0].open_ms if candles else None)
        return candles

    def leave(self, replica: CandleReplica, outgoing: Outgoing) -> None:
        if self.chart is not None:
            replica.leave(self.timeframe, self.chart)

    def release(self) -> None:
        super().release()
        if self.range is not None:
            market_hub().ranges.forget(self.range)
            self.range = None


def is_width(text: str) -> bool:
    try:
        return MIN_WIDTH <= int(text) <= MAX_WIDTH
    except ValueError:
        return False
