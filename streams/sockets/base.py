"""What all sockets do: accept, count, answer pings, bear every message, and close with a reason."""

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
from streams.admission import Allowance, Refused, admit, count, environ_of, open_by_client
from streams.figures import CONNECTIONS, DROPPED, REFUSED
from streams.messages import PONG, plain_error_frame
from streams.outgoing import Outgoing

logger = structlog.get_logger(__name__)

FATAL, UNAUTHORIZED, RESTART, TRY_AGAIN_LATER = 4000, 4001, 1012, 1013
MAX_REASON_BYTES = 123  # of a close frame
CLOSE_S = 5.0  # a client that reads nothing does not take a close frame either
FLUSH_S = 0.1

sockets: set["Socket"] = set()


class Fatal(Exception):
    """Ends the socket with code 4000; the text is for the client."""


class Socket(AsyncWebsocketConsumer):
    """``serve`` is run once the socket is accepted; the client's messages are handled meanwhile.

    ``fatal_errors`` of it are the client's, and end the socket with their text.
    """

    feed = ""
    fatal_errors: tuple[type[Exception], ...] = (Fatal,)
    away = "Data cannot be read now; try again"  # what a client is told when the database is away
    # No layer: a member of the group for each socket does not scale, the hub is the only one.
    channel_layer_alias = "not for sockets"

    def __init__(self) -> None:
        super().__init__()
        self.client = ""
        self.outgoing: Outgoing | None = None
        self.work: set[asyncio.Task[None]] = set()
        self.allowance = Allowance(settings.WS_MESSAGES_PER_SECOND)
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
        if not self.is_acceptable():
            # Before it is accepted: the server answers the handshake with 403.
            await self.close()
            return
        await self.accept()
        self.outgoing = Outgoing(self.server_send, settings.WS_MAX_QUEUED, self.too_slow)
        self.begin(self.guarded())

    def is_acceptable(self) -> bool:
        """Whether the handshake's query is one that may be answered at all."""
        return True

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
        except self.fatal_errors as error:
            await self.fail(str(error))
        except (DatabaseError, QueryTimeout) as error:
            logger.warning(f"a socket cannot be served: {error}")
            # The client is not at fault: asking again will help it.
            await self.fail(self.away, TRY_AGAIN_LATER)
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

    def error_text(self, message: str) -> str:
        """An error as these clients know it."""
        return plain_error_frame(message)

    async def fail(self, message: str, code: int = FATAL) -> None:
        """An error frame, then the end, with the same reason."""
        self.put(self.error_text(message))
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
        try:
            await self.answer(message)
        except Exception:
            # A fault of our own; the stream goes on.
            logger.exception("a socket's message could not be answered")

    async def answer(self, message: Any) -> None:
        """``message`` is any JSON value; None also stands for what is no JSON at all."""
        if isinstance(message, dict) and message.get("type") == "ping":
            self.put(PONG)

    @property
    def query(self) -> dict[str, str]:
        return dict(parse_qsl(self.scope["query_string"].decode("latin-1"), keep_blank_values=True))


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
