"""The sockets of forced orders: of one symbol, and of all."""

import time
from typing import Any

from django.conf import settings

from liquidations.volume import BAD_TIMEFRAME, TIMEFRAMES_MS
from marketdata.clock import clock_ms
from marketdata.venue import REAL_FEEDS
from streams.filters import NO_FILTER, BadFilter, filter_read
from streams.hub import PAGE, hub
from streams.market.hub import market_hub
from streams.messages import (
    FeedFrame,
    FilterFrame,
    error_frame,
    heartbeat_frame,
    initial_frame,
    iso,
    text,
)
from streams.outbox import outbox_since
from streams.reading import read
from streams.snapshots import UnknownSymbol, orders_snapshot, resumption
from streams.sockets.base import Fatal, Socket
from streams.tail import Tail
from streams.types import LiveOrder
from streams.volume_series import VolumeSeries, board


def is_simulated() -> bool:
    return settings.LIQUI_FEED not in REAL_FEEDS


class OrdersSocket(Socket):
    """A member of the hub, which says that it lives when there is nothing else to say."""

    fatal_errors = (Fatal, UnknownSymbol, BadFilter)
    away = "Liquidations cannot be read now; try again"

    def __init__(self) -> None:
        super().__init__()
        self.quiet_since_s = time.monotonic()
        self.is_quiet = True  # no order since the last tick

    def error_text(self, message: str) -> str:
        return error_frame(message, clock_ms())

    def tick(self, now_s: float) -> None:
        # A clock that is read once a second, and not at each order of each socket.
        if not self.is_quiet:
            self.is_quiet, self.quiet_since_s = True, now_s
        elif now_s - self.quiet_since_s >= settings.WS_HEARTBEAT_INTERVAL:
            self.quiet_since_s = now_s
            self.put(heartbeat_frame(self.heartbeat_symbol, clock_ms()))

    @property
    def heartbeat_symbol(self) -> str | None:
        return None

    def put_order(self, order: LiveOrder) -> None:
        self.is_quiet = False
        if self.outgoing is not None:
            self.outgoing.put(order.text)


class SymbolSocket(OrdersSocket):
    """One symbol's liquidations, and with ``timeframe`` their volume; ``orders=0`` leaves out the orders."""

    feed = "liquidations of a symbol"

    def __init__(self) -> None:
        super().__init__()
        self.tail = Tail(self.hand_on, settings.WS_MAX_QUEUED, self.too_slow)
        self.series: VolumeSeries | None = None
        self.sends_orders = True

    @property
    def symbol(self) -> str:
        scope: Any = self.scope
        return scope["url_route"]["kwargs"]["symbol"]

    @property
    def heartbeat_symbol(self) -> str | None:
        return self.symbol

    async def serve(self) -> None:
        self.sends_orders = self.query.get("orders", "1") != "0"
        await hub().has_looked()
        # Join first, read second: what comes meanwhile waits behind the snapshot.
        hub().join(self, self.symbol)
        snapshot = await read(orders_snapshot, self.symbol)
        shown = snapshot.orders if self.sends_orders else []
        self.put(initial_frame(self.symbol, shown, clock_ms(), simulated=is_simulated()))
        self.tail.open(snapshot.head, shown)
        await self.serve_volume(self.query.get("timeframe"))

    async def serve_volume(self, timeframe: str | None) -> None:
        if timeframe is None:
            return
        if timeframe not in TIMEFRAMES_MS:
            raise Fatal(BAD_TIMEFRAME)
        self.series = board.acquire(self.symbol, timeframe)
        start_ms = await market_hub().ranges.start_ms(self.client, self.symbol, timeframe)
        if self.outgoing is not None:
            await self.series.listen(self.outgoing, start_ms)

    def take(self, order: LiveOrder) -> None:
        self.tail.take(order)

    def hand_on(self, order: LiveOrder) -> None:
        if self.sends_orders and self.tail.is_new(order):
            self.put_order(order)

    def release(self) -> None:
        super().release()
        if self.outgoing is None:
            return
        hub().leave(self, self.symbol)
        if self.series is not None:
            self.series.listeners.discard(self.outgoing)
            board.release(self.series)
            self.series = None


class AllSymbolsSocket(OrdersSocket):
    """All symbols' liquidations, filtered as the client wants, from any number of the last hour on."""

    feed = "liquidations"

    def __init__(self) -> None:
        super().__init__()
        self.filter = NO_FILTER
        self.wants_all = True
        self.tail = Tail(self.hand_on, settings.WS_MAX_QUEUED, self.too_slow)

    async def serve(self) -> None:
        self.filter = filter_read(self.query)
        self.wants_all = self.filter == NO_FILTER
        await hub().has_looked()
        since = self.query.get("since")
        if since is None:
            hub().join(self)
            head = hub().head
            self.put_feed(head)
            self.tail.open(head or 0)
        else:
            await self.resume(since_number(since))

    async def resume(self, since: int) -> None:
        start = await read(resumption, since, clock_ms())
        self.put_feed(hub().head, start.after, start.message)
        reached = await self.replay(start.after)
        # From here on live orders wait, until those that came while the others were sent have been sent too.
        hub().join(self)
        self.tail.open(await self.replay(reached))

    async def replay(self, after: int) -> int:
        """Send what is stored after this number, as fast as the client reads; the number reached."""
        while orders := await read(outbox_since, after, PAGE):
            for order in orders:
                self.hand_on(order)
                await self.settled()
            after = orders[-1].sequence or after
            if len(orders) < PAGE:
                break
        return after

    def put_feed(self, head: int | None, resumed_from: int | None = None, message: str | None = None) -> None:
        frame = FeedFrame(
            feed=settings.LIQUI_FEED,
            simulated=is_simulated(),
            sequence=head,
            resumed_from=resumed_from,
            complete=message is None,
            message=message,
            timestamp=iso(clock_ms()),
        )
        self.put(text(frame))

    async def answer(self, message: Any) -> None:
        if not isinstance(message, dict) or message.get("type") != "filter":
            await super().answer(message)
            return
        try:
            self.filter = self.filter.changed(message)
        except BadFilter as error:
            self.put(error_frame(str(error), clock_ms()))
            return
        self.wants_all = self.filter == NO_FILTER
        wanted, symbols = self.filter, self.filter.symbols
        listed = None if symbols is None else sorted(symbols)
        self.put(text(FilterFrame(wanted.min_usd, wanted.side, listed, iso(clock_ms()))))

    def take(self, order: LiveOrder) -> None:
        # The short way for nearly all sockets nearly always: this runs for each order and socket.
        if self.wants_all and self.tail.is_past:
            self.put_order(order)
        else:
            self.tail.take(order)

    def hand_on(self, order: LiveOrder) -> None:
        if self.filter.passes(order):
            self.put_order(order)

    def release(self) -> None:
        super().release()
        if self.outgoing is not None:
            hub().leave(self)


def since_number(raw: str) -> int:
    if not (raw.isascii() and raw.isdigit() and len(raw) < 19):
        raise Fatal("since must be a sequence number")
    return int(raw)
