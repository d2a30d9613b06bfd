"""One client's WebSocket: websockets' protocol without I/O over the transport that uvicorn hands over at the upgrade.

Data frames are made once per event and written as they are; everything else goes through the protocol. All of it
happens in the event loop's callbacks: no task per connection, so nothing is left over when one ends.
"""

import asyncio
import logging
import socket
import struct
import time
from collections import deque
from email.utils import formatdate
from http import HTTPStatus
from typing import TYPE_CHECKING, cast

import msgspec
from websockets.frames import CloseCode, Frame, Opcode
from websockets.http11 import Request
from websockets.protocol import State
from websockets.server import ServerProtocol

from streams.simulator.kinds import Route
from streams.simulator.rules import MessageRate
from streams.simulator.subscriptions import Refused, Subscriptions, Target, target_of

if TYPE_CHECKING:
    from streams.simulator.exchange import Exchange

MARK = "X-Liqui-Simulated"  # in every answer and handshake, so that nobody takes this for the real one
MAX_MESSAGE_BYTES = 1 << 20
CLOSE_WAIT_S = 5.0  # for the client's side of a close
STOP_WAIT_S = 1.0  # for all of it, when the server stops
REMEMBERED_FRAMES = 100  # that can be repeated
# What became of a connection is told by /control/connections.
quiet = logging.getLogger(f"{__name__}.protocol")
quiet.setLevel(logging.CRITICAL)
RESET_ON_CLOSE = struct.pack("ii", 1, 0)  # SO_LINGER: on, 0 s


class ConnectionRecord(msgspec.Struct):
    """What is told of a connection, also when it is closed; times are Unix ms of our clock."""

    id: int
    url: str
    client: str
    user_agent: str
    opened_ms: int
    streams: list[str] = []
    frames: int = 0
    forced_orders: int = 0
    messages: int = 0  # from the client
    closed_ms: int | None = None
    closed_because: str | None = None


class Connection(asyncio.Protocol):
    """``open_protocols`` is uvicorn's set of connections, which it closes when it stops."""

    def __init__(self, exchange: "Exchange", open_protocols: set[asyncio.Protocol]) -> None:
        self.exchange, self.open_protocols = exchange, open_protocols
        self.loop = asyncio.get_running_loop()
        self.protocol = ServerProtocol(max_size=MAX_MESSAGE_BYTES, logger=quiet)
        self.id = next(exchange.ids)
        self.route: Route | None = None
        self.is_combined = self.is_open = self.is_silent = False
        self.rate = MessageRate(exchange.limits.messages_per_second)
        self.subscriptions = Subscriptions(
            exchange.limits.streams,
            lambda stream: exchange.follow(self, stream),
            lambda stream: exchange.unfollow(self, stream),
        )
        self.recent: deque[bytes] = deque(maxlen=REMEMBERED_FRAMES)
        self.fragments: list[bytes] = []
        self.writable = asyncio.Event()
        self.writable.set()
        self.timers: dict[str, asyncio.TimerHandle] = {}
        self.record: ConnectionRecord

    # What the transport tells

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.transport.set_write_buffer_limits(high=self.exchange.backlog_bytes)
        self.open_protocols.add(self)

    def data_received(self, data: bytes) -> None:
        self.protocol.receive_data(data)
        for event in self.protocol.events_received():
            if isinstance(event, Request):
                self.handshake(event)
            elif isinstance(event, Frame):
                self.frame_received(event)
        self.is_open = self.is_open and self.protocol.state is State.OPEN
        self.flush()

    def eof_received(self) -> None:
        self.protocol.receive_eof()
        self.flush()

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_open = False
        self.writable.set()
        self.open_protocols.discard(self)
        for timer in self.timers.values():
            timer.cancel()
        if self.id in self.exchange.connections:
            self.record.streams = list(self.subscriptions.streams)
            self.subscriptions.remove(self.record.streams)
            self.record.closed_ms = unix_ms()
            close = self.protocol.close_rcvd
            self.note_close(f"client: {close.code}" if close else "client: without a close")
            self.exchange.closed(self)

    def pause_writing(self) -> None:
        self.writable.clear()
        if not self.exchange.waits_for_readers:
            self.reset("too slow")

    def resume_writing(self) -> None:
        self.writable.set()

    def shutdown(self) -> None:
        """The server stops."""
        if self.is_open:
            self.close(CloseCode.GOING_AWAY, "")
        self.loop.call_later(STOP_WAIT_S, self.transport.abort)

    # The handshake

    def handshake(self, request: Request) -> None:
        target = target_of(request.path)
        if (status := self.exchange.handshake_fault.current) is not None:
            response = self.protocol.reject(HTTPStatus(status), "")
        elif target is None:
            response = self.protocol.reject(HTTPStatus.NOT_FOUND, "")
        else:
            response = self.protocol.accept(request)
        response.headers[MARK] = "1"
        del response.headers["Date"]
        response.headers["Date"] = formatdate(self.exchange.now_ms() / 1000, usegmt=True)
        self.protocol.send_response(response)
        if target is not None and self.protocol.state is State.OPEN:
            self.flush()
            self.open(request, target)

    def open(self, request: Request, target: Target) -> None:
        limits = self.exchange.limits
        address = self.transport.get_extra_info("peername") or ("",)
        self.record = ConnectionRecord(
            id=self.id,
            url=request.path,
            client=str(address[0]),
            user_agent=request.headers.get("User-Agent", ""),
            opened_ms=unix_ms(),
        )
        self.route, self.is_combined, self.is_open = target.route, target.is_combined, True
        self.exchange.opened(self)
        self.timers["ping"] = self.loop.call_later(limits.ping_s, self.ping)
        self.timers["life"] = self.loop.call_later(limits.life_s, self.expire)
        try:
            self.subscriptions.add(target.streams)
        except Refused as refused:
            self.close(CloseCode.POLICY_VIOLATION, refused.message)

    # What the client sends

    def frame_received(self, frame: Frame) -> None:
        if not self.is_open:
            return
        if frame.opcode is Opcode.PONG:
            self.cancel("pong")
        elif frame.opcode in (Opcode.TEXT, Opcode.BINARY, Opcode.CONT):
            self.fragments.append(bytes(frame.data))
        if not frame.fin or frame.opcode is Opcode.CLOSE:
            return
        self.record.messages += 1
        if self.rate.exceeded(self.loop.time()):
            self.close(CloseCode.POLICY_VIOLATION, "Too many requests")
        elif self.fragments and frame.opcode not in (Opcode.PING, Opcode.PONG):
            message = b"".join(self.fragments)
            self.fragments.clear()
            self.protocol.send_text(self.subscriptions.answer(message))

    # Time

    def ping(self) -> None:
        if not self.is_open:
            return
        limits = self.exchange.limits
        self.protocol.send_ping(str(self.exchange.now_ms()).encode())
        self.flush()
        if "pong" not in self.timers:
            self.timers["pong"] = self.loop.call_later(limits.pong_s, self.pong_missing)
        self.timers["ping"] = self.loop.call_later(limits.ping_s, self.ping)

    def pong_missing(self) -> None:
        self.close(CloseCode.POLICY_VIOLATION, "Pong timeout")

    def expire(self) -> None:
        """Its 24 hours are over."""
        self.close(CloseCode.GOING_AWAY, "24 hours are over")

    def silence(self, seconds: float) -> None:
        """Stay connected, answer pings, and send no data for so long; what happens meanwhile is not sent later."""
        self.is_silent = True
        self.cancel("silence")
        self.timers["silence"] = self.loop.call_later(seconds, self.speak)

    def speak(self) -> None:
        self.is_silent = False

    def cancel(self, name: str) -> None:
        if timer := self.timers.pop(name, None):
            timer.cancel()

    # Writing

    def send(self, frame: bytes) -> bool:
        """Write a frame of data; False for a connection that is silenced or closing."""
        if self.is_silent or not self.is_open:
            return False
        self.transport.write(frame)
        self.record.frames += 1
        self.recent.append(frame)
        return True

    def flush(self) -> None:
        """Write what the protocol has to say; an empty piece means the end."""
        for data in self.protocol.data_to_send():
            if data:
                self.transport.write(data)
            else:
                self.transport.close()
        if self.protocol.close_expected() and "close" not in self.timers:
            self.timers["close"] = self.loop.call_later(CLOSE_WAIT_S, self.transport.abort)

    def close(self, code: int, reason: str) -> None:
        """A clean close; whoever does not answer it is cut off."""
        if self.is_open:
            self.is_open = False
            self.note_close(f"{int(code)} {reason}".strip())
            self.protocol.send_close(code, reason)
            self.flush()

    def reset(self, reason: str) -> None:
        """An abrupt end: the client gets a TCP reset and no close frame."""
        if self.is_open:
            self.is_open = False
            self.note_close(reason)
            self.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
            self.transport.abort()

    def note_close(self, reason: str) -> None:
        self.record.closed_because = self.record.closed_because or reason


def unix_ms() -> int:
    return time.time_ns() // 1_000_000
