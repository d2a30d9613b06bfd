"""The sockets: accept, join the hub, send what was before, forward what comes."""

import asyncio
import time
from contextlib import suppress
from typing import Any
from urllib.parse import parse_qsl

import msgspec
import structlog
from channels.generic.websocket import AsyncWebsocketConsumer
from django.conf import settings
from django.db import Error as DatabaseError

from accounts.callers import anonymous
from api.addresses import client_address
from database.errors import QueryTimeout
from liquidations.volume import BAD_TIMEFRAME, TIMEFRAMES_MS
from marketdata.clock import clock_ms
from streams.admission import Allowance, Refused, admit, count, environ_of, open_by_client
from streams.figures import CONNECTIONS, DROPPED, REFUSED
from streams.filters import NO_FILTER, BadFilter, filter_read
from streams.hub import PAGE, hub
from streams.messages import (
    PONG,
    TEST_GREETING,
    TEST_REFUSAL,
    FeedFrame,
    FilterFrame,
    echo_frame,
    error_frame,
    heartbeat_frame,
    initial_frame,
    iso,
    text,
)
from streams.outbox import outbox_since
from streams.outgoing import Outgoing
from streams.reading import read
from streams.snapshots import UnknownSymbol, orders_snapshot, resumption
from streams.tail import Tail
from streams.types import LiveOrder
from streams.volume_series import VolumeSeries, board

logger = structlog.get_logger(__name__)

FATAL, UNAUTHORIZED, RESTART, TRY_AGAIN_LATER = 4000, 4001, 1012, 1013
MAX_REASON_BYTES = 123  # of a close frame
CLOSE_S = 5.0  # a client that reads nothing does not take a close frame either
FLUSH_S = 0.1
REAL_FEEDS = ("none", "live")
AWAY = "Liquidations cannot be read now; try again"

sockets: set["Socket"] = set()


class Fatal(Exception):
    """Ends the socket with code 4000; the text is for the client."""


class Socket(AsyncWebsocketConsumer):
    """What all sockets do: accept, count, answer pings, bear every message, and close with a reason.

    ``serve`` is run once the socket is accepted; the other messages are handled meanwhile.
    """

    feed = ""
    # No layer: a member of the group for each socket does not scale, the hub is the only one.
    channel_layer_alias = "not for sockets"

    def __init__(self) -> None:
        super().__init__()
        self.client = ""
        self.outgoing: Outgoing | None = None
        self.work: set[asyncio.Task[None]] = set()
        self.allowance = Allowance(settings.WS_MESSAGES_PER_SECOND)
        self.quiet_since_s = time.monotonic()
        self.is_quiet = True  # no order since the last tick
        self.ending: tuple[int, str] | None = None  # code and reason of the close frame that we send

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.server_send = send
        self.count_as(anonymous(client_address(environ_of(scope))).bucket)
        sockets.add(self)
        CONNECTIONS.labels(self.feed).inc()
        self.main = asyncio.create_task(super().__call__(scope, receive, send))
        try:
            # Not awaited itself: `finish` cancels it, and this goes on.
            await asyncio.wait([self.main])
            if not self.main.cancelled():
                self.main.result()
            await self.send_close()
        except asyncio.CancelledError:
            # daphne ends its applications so, and nothing else tells it to send a close frame.
            self.finish(RESTART, "Service Restart")
            await self.send_close()
            await asyncio.sleep(FLUSH_S)
            raise
        finally:
            self.main.cancel()
            self.release()
            CONNECTIONS.labels(self.feed).dec()
            sockets.discard(self)
            self.count_as("")

    def count_as(self, client: str) -> None:
        """Count this socket as another client's; "" ends that."""
        if self.client:
            count(self.client, -1)
        self.client = client
        if client:
            count(client, 1)

    async def connect(self) -> None:
        await self.accept()
        self.outgoing = Outgoing(self.server_send, settings.WS_MAX_QUEUED, self.too_slow)
        self.begin(self.guarded())

    def begin(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self.work.add(task)
        task.add_done_callback(self.work.discard)

    async def guarded(self) -> None:
        try:
            self.count_as((await admit(self.scope, self.query.get("token", ""))).bucket)
            if open_by_client[self.client] > settings.WS_MAX_PER_CLIENT:
                REFUSED.labels("connections").inc()
                raise Fatal(f"Too many sockets of one client: {settings.WS_MAX_PER_CLIENT} are allowed")
            await self.serve()
        except Refused as error:
            REFUSED.labels("credentials").inc()
            await self.fail(str(error), UNAUTHORIZED)
        except (Fatal, UnknownSymbol, BadFilter) as error:
            await self.fail(str(error))
        except (DatabaseError, QueryTimeout) as error:
            logger.warning(f"a socket cannot be served: {error}")
            # The client is not at fault: asking again will help it.
            await self.fail(AWAY, TRY_AGAIN_LATER)
        except asyncio.CancelledError:
            raise
        except Exception:
            logger.exception("a socket failed")
            await self.fail("Internal server error")

    async def serve(self) -> None:
        raise NotImplementedError

    def release(self) -> None:
        """The socket is gone: nothing of it may stay."""
        if self.outgoing is not None:
            self.outgoing.close()
        for task in self.work:
            task.cancel()

    async def disconnect(self, code: int) -> None:
        self.release()

    def put(self, frame: str) -> None:
        if self.outgoing is not None:
            self.outgoing.put(frame)

    async def fail(self, message: str, code: int = FATAL) -> None:
        """An error frame, then the end, with the same reason."""
        self.put(error_frame(message, clock_ms()))
        with suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_S):
                await self.settled()
        self.finish(code, message)

    async def settled(self) -> None:
        """When the client has been sent everything so far."""
        if self.outgoing is not None:
            await self.outgoing.settled()

    def too_slow(self) -> None:
        DROPPED.inc()
        self.finish(TRY_AGAIN_LATER, "Too slow: messages were waiting")

    def finish(self, code: int, reason: str) -> None:
        """End the socket with a close frame of ours."""
        if self.ending is None:
            self.ending = code, reason.encode()[:MAX_REASON_BYTES].decode(errors="ignore")
            # granian sends no close frame while somebody waits for the client's next message.
            self.main.cancel()

    async def send_close(self) -> None:
        """The close frame that `finish` wants; given up after a while, for a client that reads nothing takes none."""
        if self.ending is None or self.outgoing is None:
            return
        self.outgoing.close()
        code, reason = self.ending
        with suppress(Exception):
            async with asyncio.timeout(CLOSE_S):
                if not close_daphne(self.server_send, code, reason):
                    await self.server_send({"type": "websocket.close", "code": code, "reason": reason})

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        """A message of the client; what cannot be understood is ignored."""
        if not self.allowance.spend(time.monotonic()):
            REFUSED.labels("messages").inc()
            await self.fail(f"Too many messages: {settings.WS_MESSAGES_PER_SECOND} a second are allowed")
            return
        try:
            message = msgspec.json.decode(text_data or "")
        except (msgspec.MsgspecError, ValueError, RecursionError):
            message = None
        await self.answer(message)

    async def answer(self, message: Any) -> None:
        """``message`` is any JSON value; None also stands for what is no JSON at all."""
        if isinstance(message, dict) and message.get("type") == "ping":
            self.put(PONG)

    @property
    def query(self) -> dict[str, str]:
        return dict(parse_qsl(self.scope["query_string"].decode("latin-1"), keep_blank_values=True))

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


async def close_sockets() -> None:
    """The server stops: 1012 makes every client connect again. For servers that say nothing themselves."""
    ending = tuple(sockets)
    for socket in ending:
        socket.finish(RESTART, "Service Restart")
    if ending:
        # Until the server has written it.
        await asyncio.sleep(FLUSH_S)


def close_daphne(send: Any, code: int, reason: str) -> bool:
    """Close a socket of daphne's, whose own way drops every reason and refuses codes below 3000; False: it is none."""
    protocol = next(iter(getattr(send, "args", ())), None)
    send_frame = getattr(protocol, "sendCloseFrame", None)
    if send_frame is None:
        return False
    send_frame(code=code, reasonUtf8=reason.encode(), isReply=False)
    return True


def is_simulated() -> bool:
    return settings.LIQUI_FEED not in REAL_FEEDS


class SymbolSocket(Socket):
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
        if self.outgoing is not None:
            await self.series.listen(self.outgoing)

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


class AllSymbolsSocket(Socket):
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


class TestSocket(Socket):
    """Says hello and repeats what it is told."""

    __test__ = False
    feed = "test"

    async def serve(self) -> None:
        self.put(TEST_GREETING)

    async def answer(self, message: Any) -> None:
        self.put(TEST_REFUSAL if message is None else echo_frame(message))


class UnknownSocket(Socket):
    feed = "unknown"

    async def serve(self) -> None:
        raise Fatal("Not Found")
