"""What a service without a database would do: `python -m benchmarks.fanout_relays websockets|starlette PORT EXCHANGE`.

Each frame of the exchange's forced orders is handed on as it came, to all sockets at once ("websockets": its own
`broadcast`) or to one after the other ("starlette": the loop of its documentation and of most tutorials).
"""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import uvicorn
import uvloop
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect
from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection, broadcast, serve


async def frames(exchange: str) -> AsyncIterator[str]:
    async with connect(f"{exchange}/market/ws/!forceOrder@arr", compression=None) as source:
        async for frame in source:
            yield str(frame)


async def relay_websockets(port: int, exchange: str) -> None:
    clients: set[ServerConnection] = set()

    async def stay(client: ServerConnection) -> None:
        clients.add(client)
        try:
            await client.wait_closed()
        finally:
            clients.remove(client)

    async with serve(stay, "127.0.0.1", port, compression=None):
        async for frame in frames(exchange):
            broadcast(clients, frame)


async def relay_starlette(port: int, exchange: str) -> None:
    clients: set[WebSocket] = set()

    async def stay(client: WebSocket) -> None:
        await client.accept()
        clients.add(client)
        try:
            while True:
                await client.receive_text()
        except WebSocketDisconnect:
            clients.discard(client)

    async def hand_on() -> None:
        async for frame in frames(exchange):
            for client in list(clients):
                await client.send_text(frame)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        async with asyncio.TaskGroup() as tasks:
            task = tasks.create_task(hand_on())
            yield
            task.cancel()

    application = Starlette(routes=[WebSocketRoute("/", stay)], lifespan=lifespan)
    options = uvicorn.Config(
        application, port=port, ws="websockets-sansio", ws_per_message_deflate=False, log_level="warning"
    )
    await uvicorn.Server(options).serve()


RELAYS = {"websockets": relay_websockets, "starlette": relay_starlette}


def main(kind: str, port: str, exchange: str) -> None:
    uvloop.run(RELAYS[kind](int(port), exchange))


if __name__ == "__main__":
    main(*sys.argv[1:])
