"""Who may open a socket, how many, and how fast it may talk. Counted in each web process."""

from collections import Counter
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.contrib.auth import get_user
from django.contrib.sessions.middleware import SessionMiddleware
from django.http import HttpRequest, HttpResponse, parse_cookie

from accounts.audit import console_actor
from accounts.callers import Caller, anonymous
from accounts.identify import BadCredentials, identify
from accounts.roles import Role
from api.addresses import client_address
from streams.figures import REFUSED
from streams.reading import read

DEFAULT_PORTS = {"http": 80, "https": 443, "ws": 80, "wss": 443}

CREDENTIALS = frozenset({"HTTP_AUTHORIZATION", "HTTP_X_API_KEY", "HTTP_X_LIQUI_TOKEN"})

# By `Caller.bucket`: a key, a user, or an address.
open_by_client: Counter[str] = Counter()


class Refused(Exception):
    """No socket with these credentials, or without any; the text is for the client."""


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
    if "*" in allowed or origin in allowed:
        return True
    scheme, _, _ = origin.partition("://")
    here = place(origin)
    return here is not None and here == place(f"{scheme}://{host}")


def place(url: str) -> tuple[str | None, int | None] | None:
    """Host and port; None for what is no URL with a host ("null", as pages without an origin say)."""
    try:
        parts = urlsplit(url)
        return (parts.hostname, parts.port or DEFAULT_PORTS.get(parts.scheme)) if parts.hostname else None
    except ValueError:
        return None


def environ_of(scope: Mapping[str, Any]) -> dict[str, str]:
    """The handshake in CGI's variables, which credentials and addresses are read from for HTTP too."""
    client = scope.get("client")
    environ = {"REMOTE_ADDR": str(client[0]) if client else ""}
    for raw_name, value in scope["headers"]:
        name = f"HTTP_{raw_name.decode('latin-1').upper().replace('-', '_')}"
        text = value.decode("latin-1")
        environ[name] = f"{environ[name]},{text}" if name in environ else text
    return environ


async def admit(scope: Mapping[str, Any], token: str) -> Caller:
    """Who opens the socket, by its headers or by ``token``. Raises `Refused`."""
    environ = environ_of(scope)
    caller = None
    try:
        if token or not CREDENTIALS.isdisjoint(environ):
            caller = await read(identify, environ, token)
        elif settings.READ_ACCESS == "closed":
            caller = await read(signed_in, environ)
    except BadCredentials as error:
        raise Refused(str(error)) from None
    caller = caller or anonymous(client_address(environ))
    if settings.READ_ACCESS == "closed" and caller.role < Role.USER:
        raise Refused("Credentials are required")
    return caller


def signed_in(environ: Mapping[str, str]) -> Caller | None:
    """Who has signed in, by the session's cookie. (Pages of others than ours cannot open sockets: `OriginCheck`.)"""
    request = HttpRequest()
    request.META.update(environ)
    request.COOKIES = parse_cookie(environ.get("HTTP_COOKIE", ""))
    SessionMiddleware(lambda request: HttpResponse()).process_request(request)
    request.user = get_user(request)
    return console_actor(request) if request.user.is_authenticated else None


def count(client: str, change: int) -> None:
    """There is one socket of this client more or less."""
    open_by_client[client] += change
    if not open_by_client[client]:
        del open_by_client[client]


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
