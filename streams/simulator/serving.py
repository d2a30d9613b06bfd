"""The exchange on a port: HTTP by uvicorn, WebSockets by `connection`, and the loop that plays the events."""

import asyncio
import logging
import socket
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from email.utils import formatdate
from functools import partial
from typing import Any, Literal, cast
from urllib.parse import parse_qsl

import msgspec
import uvicorn
from uvicorn.server import ServerState

from streams.simulator.connection import MARK, Connection
from streams.simulator.control import control_answer
from streams.simulator.exchange import Exchange
from streams.simulator.kinds import Event
from streams.simulator.player import play
from streams.simulator.rest import Answer, Request, rest_answer

MAX_BODY_BYTES = 1 << 20
STOP_S = 2  # for open connections, when it stops
BACKLOG = 2048
CONTROL = "/control/"
Start = Literal["at once", "when followed", "when told"]  # when the clock begins to run

logger = logging.getLogger(__name__)


@asynccontextmanager
async def exchange_serving(
    exchange: Exchange, events: Iterable[Event], listener: socket.socket, starts: Start = "at once"
) -> AsyncIterator[None]:
    """Serve at a bound socket and play ``events`` while the block runs."""
    server = Server(
        uvicorn.Config(
            partial(answer_http, exchange),
            ws=cast(Any, websocket_factory(exchange)),
            http="httptools",
            interface="asgi3",
            lifespan="off",
            proxy_headers=False,
            log_config=None,
            access_log=False,
            server_header=False,
            date_header=False,
            headers=[(MARK, "1")],
            timeout_graceful_shutdown=STOP_S,
        )
    )
    # Every connection inherits it. asyncio sets it only for sockets that name their protocol; else each answer waits
    # for the client's delayed acknowledgement, 40 ms.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    listener.listen(BACKLOG)
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    playing = asyncio.create_task(play_from_start(exchange, events, starts))
    try:
        while not server.started and not serving.done():
            await asyncio.sleep(0.005)
        yield
    finally:
        playing.cancel()
        with suppress(asyncio.CancelledError):
            await playing
        server.should_exit = True
        await serving


async def play_from_start(exchange: Exchange, events: Iterable[Event], starts: Start) -> None:
    if starts == "when followed":
        await exchange.is_followed.wait()
    if starts != "when told":
        exchange.clock.start()
    try:
        await play(exchange.happening(events), exchange.clock, exchange.broadcast.take, exchange.readers)
    except Exception:
        logger.exception("the exchange stays, but sends nothing any more")


class Server(uvicorn.Server):
    """uvicorn whose end is ours to say: signals are the business of whoever runs the loop."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def websocket_factory(exchange: Exchange) -> Callable[..., Connection]:
    """What uvicorn calls at an upgrade, in place of a protocol class of its own."""

    def connection(config: uvicorn.Config, server_state: ServerState, app_state: dict[str, Any]) -> Connection:
        return Connection(exchange, cast(set[asyncio.Protocol], server_state.connections))

    return connection


async def answer_http(exchange: Exchange, scope: Any, receive: Any, send: Any) -> None:
    """The ASGI application. ``Date`` is the exchange's time: who needs the venue's clock takes it from there."""
    answer = await http_answer(exchange, scope, await body_of(receive))
    content = msgspec.json.encode(answer.body)
    date = formatdate(exchange.now_ms() / 1000, usegmt=True)
    headers = {"Date": date, "Content-Type": "application/json", "Content-Length": str(len(content)), **answer.headers}
    await send(
        {
            "type": "http.response.start",
            "status": answer.status,
            "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
        }
    )
    await send({"type": "http.response.body", "body": content})


async def http_answer(exchange: Exchange, scope: Any, body: bytes) -> Answer:
    method, path, query = scope["method"], scope["path"], scope["query_string"].decode()
    if path.startswith(CONTROL):
        return control_answer(exchange, method, path.removeprefix(CONTROL), query, body)
    return await rest_answer(exchange, Request(method, path, dict(parse_qsl(query)), scope["client"][0]))


async def body_of(receive: Any) -> bytes:
    """The request's body, cut where it is too long to mean anything."""
    body, is_more = b"", True
    while is_more and len(body) < MAX_BODY_BYTES:
        message = await receive()
        body += message.get("body", b"")
        is_more = message.get("more_body", False)
    return body
