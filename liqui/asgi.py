"""The ASGI application: ``uvicorn liqui.asgi:application``; ``make run`` serves this one."""

import os
from typing import Any

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "liqui.settings")
django.setup(set_prefix=False)

from liqui import startup  # noqa: E402
from liqui.companions import companions  # noqa: E402
from liqui.farewell import farewell_daphne, farewell_first  # noqa: E402
from liqui.handler import PooledHandler  # noqa: E402
from streams.hub import hub  # noqa: E402
from streams.market.hub import market_hub  # noqa: E402
from streams.routing import websockets  # noqa: E402
from streams.sockets.base import close_sockets  # noqa: E402

startup.prepare()
handler = PooledHandler()


async def application(scope: Any, receive: Any, send: Any) -> None:
    """HTTP goes to Django, sockets to Channels; the server's lifespan events, which both refuse, are answered here."""
    if scope["type"] == "http":
        await handler(scope, receive, send)
    elif scope["type"] == "websocket":
        farewell_daphne(close_sockets)
        await websockets(scope, receive, send)
    elif scope["type"] == "lifespan":
        await lifespan(receive, send)
    else:
        raise ValueError(f"no application for {scope['type']} connections")


async def lifespan(receive: Any, send: Any) -> None:
    while True:
        message = await receive()
        if message["type"] == "lifespan.startup":
            farewell_first(close_sockets)
            hub().start()
            for companion in companions:
                await companion.start()
            await send({"type": "lifespan.startup.complete"})
        elif message["type"] == "lifespan.shutdown":
            await close_sockets()
            for companion in reversed(companions):
                await companion.stop()
            await market_hub().stop()
            await hub().stop()
            handler.close()
            await send({"type": "lifespan.shutdown.complete"})
            return
