"""Applications that do nothing but what a cached answer cannot do without: the limits of the machine, measured too.

``BARE_BODY`` names a file, ``REDIS_URL`` the server that holds it as "bare".
"""

import os
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import redis

BODY = Path(os.environ["BARE_BODY"]).read_bytes()
CLIENT = redis.Redis.from_url(os.environ["REDIS_URL"])
HEADERS = [("Content-Type", "application/json"), ("Content-Length", str(len(BODY)))]
CLIENT.set("bare", BODY)
connections = threading.local()

Environ = dict[str, Any]
StartResponse = Callable[[str, list[tuple[str, str]]], object]


def from_memory(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    start_response("200 OK", HEADERS)
    return [BODY]


def from_redis(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """One GET over a connection of this thread's own, as cheap as the client can do it."""
    connection: Any = getattr(connections, "own", None)
    if connection is None:
        connection = connections.own = CLIENT.connection_pool.get_connection()
    connection.send_command("GET", "bare")
    body = connection.read_response()
    start_response("200 OK", HEADERS)
    return [body]
