"""Who may open a socket, how many, and how fast it may talk. Counted in each web process."""

import ipaddress
from collections import Counter
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings

from streams.figures import REFUSED

DEFAULT_PORTS = {"http": 80, "https": 443, "ws": 80, "wss": 443}

open_by_client: Counter[str] = Counter()


def headers_of(scope: Mapping[str, Any]) -> dict[bytes, bytes]:
    return {name.lower(): value for name, value in scope["headers"]}


class OriginCheck:
    """ASGI: refuses (403) pages of other origins than our own host and CORS_ORIGINS. Programs send no Origin."""

    def __init__(self, application: Any) -> None:
        self.application = application

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        headers = headers_of(scope)
        origin, host = headers.get(b"origin"), headers.get(b"host", b"")
        if origin is None or origin_allowed(origin.decode("latin-1"), host.decode("latin-1"), settings.CORS_ORIGINS):
            await self.application(scope, receive, send)
            return
        REFUSED.labels("origin").inc()
        await receive()
        # Before it is accepted: the server answers the handshake with 403.
        await send({"type": "websocket.close", "code": 1008})


def origin_allowed(origin: str, host: str, allowed: list[str]) -> bool:
    return "*" in allowed or origin in allowed or place(origin) == place(f"{urlsplit(origin).scheme}://{host}")


def place(url: str) -> tuple[str | None, int | None] | None:
    """Host and port; None for what is no URL with a host, which is equal to nothing that matters."""
    try:
        parts = urlsplit(url)
        return (parts.hostname, parts.port or DEFAULT_PORTS.get(parts.scheme)) if parts.hostname else None
    except ValueError:
        return None


def client_address(scope: Mapping[str, Any]) -> str:
    """The client's address; behind a proxy on this machine the one that the proxy names last."""
    client = scope.get("client")
    peer = str(client[0]) if client else ""
    forwarded = headers_of(scope).get(b"x-forwarded-for", b"").decode("latin-1").rpartition(",")[2].strip()
    return forwarded if forwarded and is_local(peer) else peer


def is_local(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        # A Unix socket has none.
        return not address


class Allowance:
    """``rate`` messages a second on the average, and twice as many at once."""

    def __init__(self, rate: int) -> None:
        self.rate, self.left, self.counted_s = rate, 2.0 * rate, 0.0

    def spend(self, now_s: float) -> bool:
        """Whether one more is allowed at this time (monotonic seconds)."""
        self.left = min(2.0 * self.rate, self.left + (now_s - self.counted_s) * self.rate)
        self.counted_s = now_s
        if self.left < 1:
            return False
        self.left -= 1
        return True
