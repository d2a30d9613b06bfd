"""The ASGI application: ``uvicorn liqui.asgi:application``; ``make run`` serves this one."""

import os
from typing import Any

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "liqui.settings")
django.setup(set_prefix=False)

from liqui import startup  # noqa: E402
from liqui.handler import PooledHandler  # noqa: E402

startup.prepare()
handler = PooledHandler()


async def application(scope: Any, receive: Any, send: Any) -> None:
    """HTTP goes to Django; what Django raises at, sockets and the server's lifespan events, is answered here."""
    if scope["type"] == "http":
        await handler(scope, receive, send)
    elif scope["type"] == "lifespan":
        await lifespan(receive, send)
    elif scope["type"] == "websocket":
        await refuse(receive, send)
    else:
        raise ValueError(f"no application for {scope['type']} connections")


async def refuse(receive: Any, send: Any) -> None:
    """There is no socket at any path: closing before accepting is how ASGI says 403."""
    await receive()
    await send({"type": "websocket.close"})


async def lifespan(receive: Any, send: Any) -> None:
    while True:
        message = await receive()
        if message["type"] == "lifespan.startup":
            await send({"type": "lifespan.startup.complete"})
        elif message["type"] == "lifespan.shutdown":
            handler.close()
            await send({"type": "lifespan.shutdown.complete"})
            return
