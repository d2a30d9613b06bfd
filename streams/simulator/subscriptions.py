"""What clients may ask for: streams in the URL of a connection, and SUBSCRIBE, UNSUBSCRIBE, LIST_SUBSCRIPTIONS later.

No socket here. Source of the texts: Binance's "Live Subscribing/Unsubscribing to streams".
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

import msgspec

from streams.simulator.kinds import ROUTES, Route

METHODS = ("SUBSCRIBE", "UNSUBSCRIBE", "LIST_SUBSCRIPTIONS")
MAX_ID_LENGTH = 36


@dataclass(frozen=True, slots=True)
class Target:
    """What a connection's URL asks for; ``route`` is None for the addresses of before 2026."""

    route: Route | None
    is_combined: bool
    streams: tuple[str, ...]


def target_of(path: str) -> Target | None:
    """The target of ``/market/ws/a/b``, ``/market/stream?streams=a/b`` and the like; None for any other path."""
    path, _, query = path.partition("?")
    parts = [unquote(part) for part in path.split("/") if part]
    route: Route | None = next((route for route in ROUTES if parts[:1] == [route]), None)
    mode, *streams = (parts[1:] if route else parts) or [""]
    if mode == "stream" and not streams:
        return Target(route, True, tuple(stream for stream in streams_of(query) if stream))
    return Target(route, False, tuple(streams)) if mode == "ws" else None


def streams_of(query: str) -> list[str]:
    # Not parse_qs: "+" is no blank here, and "/" separates.
    values = [value for name, _, value in (part.partition("=") for part in query.split("&")) if name == "streams"]
    return unquote("/".join(values)).split("/")


class Refused(Exception):
    """A request that Binance answers with this error."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code, self.message = code, message


@dataclass
class Subscriptions:
    """The streams of one connection, in the order of subscribing; ``added`` and ``removed`` are told of changes."""

    limit: int
    added: Callable[[str], None]
    removed: Callable[[str], None]
    streams: dict[str, None] = field(default_factory=dict)

    def add(self, streams: Sequence[str]) -> None:
        """Raises `Refused` when there are too many; then none is added."""
        new = dict.fromkeys(stream for stream in streams if stream not in self.streams)
        if len(self.streams) + len(new) > self.limit:
            raise Refused(2, f"Invalid request: cannot have more than {self.limit} streams")
        self.streams |= new
        for stream in new:
            self.added(stream)

    def remove(self, streams: Sequence[str]) -> None:
        for stream in streams:
            if stream in self.streams:
                del self.streams[stream]
                self.removed(stream)

    def answer(self, message: bytes) -> bytes:
        """The answer to a client's message."""
        answer: dict[str, Any] = {}
        try:
            request = parse(message)
            answer = {"id": request["id"]}
            answer = {"result": self.perform(request), **answer}
        except Refused as refused:
            answer = {"error": {"code": refused.code, "msg": refused.message}, **answer}
        return msgspec.json.encode(answer)

    def perform(self, request: dict[str, Any]) -> list[str] | None:
        method, streams = request["method"], request.get("params")
        if method == "LIST_SUBSCRIPTIONS":
            return list(self.streams)
        if method not in METHODS:
            known = ", ".join(f"`{each}`" for each in METHODS)
            raise Refused(2, f"Invalid request: unknown variant `{method}`, expected one of {known}")
        if not isinstance(streams, list) or not all(isinstance(stream, str) for stream in streams):
            raise Refused(2, "Invalid request: params must be a list of stream names")
        (self.add if method == "SUBSCRIBE" else self.remove)(streams)
        return None


def parse(message: bytes) -> dict[str, Any]:
    """A request with a method and an id. Raises `Refused`."""
    try:
        request = msgspec.json.decode(message)
    except (ValueError, RecursionError):
        raise Refused(3, "Invalid JSON: expected value at line 1 column 1") from None
    if not isinstance(request, dict) or not isinstance(request.get("method"), str):
        raise Refused(2, f"Invalid request: missing field `method` at line 1 column {len(message)}")
    if not is_id(request.get("id")):
        raise Refused(2, "Invalid request: request ID must be an unsigned integer")
    return request


def is_id(id: Any) -> bool:
    # Client libraries of today send texts, too, and Binance takes them.
    return (type(id) is int and id >= 0) or (type(id) is str and 0 < len(id) <= MAX_ID_LENGTH)
