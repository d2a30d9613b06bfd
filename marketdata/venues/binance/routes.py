"""Where each of Binance's streams is, how it is subscribed, and the limits of a connection."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Literal
from urllib.parse import quote

import msgspec

Route = Literal["public", "market"]
Method = Literal["SUBSCRIBE", "UNSUBSCRIBE", "LIST_SUBSCRIPTIONS"]

ALL_LIQUIDATIONS = "!forceOrder@arr"
# Order books have a route of their own since 2026; all else that anybody may read is on the other one. A subscription
# on the wrong route is accepted and stays silent.
BOOK_STREAMS = ("depth", "rpiDepth", "bookTicker")

MAX_STREAMS = 200  # we put on a connection; the venue takes 1024, and a broken connection should not cost that much
CONNECTION_LIFE_S = 86_400  # then the venue closes it
# The venue disconnects who sends more than ten messages a second, pongs included, and bans who does it often.
COMMAND_INTERVAL_S = 0.2
STREAMS_PER_COMMAND = 50  # about 1 kB of text; a refused frame should not cost all the others


def stream_name(symbol: str, kind: str) -> str:
    """btcusdt@aggTrade of BTCUSDT and aggTrade."""
    return f"{symbol.lower()}@{kind}"


def route_of(stream: str) -> Route:
    """btcusdt@depth20@100ms → public, !forceOrder@arr → market."""
    first, _, rest = stream.partition("@")
    kind = first[1:] if first.startswith("!") else rest
    return "public" if kind.startswith(BOOK_STREAMS) else "market"


def connections(streams: Sequence[str]) -> Iterator[tuple[Route, list[str]]]:
    """The streams, each once, shared out to connections: one route each, at most `MAX_STREAMS` streams."""
    by_route: dict[Route, list[str]] = defaultdict(list)
    for stream in dict.fromkeys(streams):
        by_route[route_of(stream)].append(stream)
    for route, members in by_route.items():
        for first in range(0, len(members), MAX_STREAMS):
            yield route, members[first : first + MAX_STREAMS]


def stream_url(base_url: str, route: Route, streams: Sequence[str] = ()) -> str:
    """The address of a combined stream: every frame says its stream. Without ``streams`` it waits for SUBSCRIBE."""
    query = f"?streams={'/'.join(quote(stream, safe='!@') for stream in streams)}" if streams else ""
    return f"{base_url}/{route}/stream{query}"


def commands(method: Method, streams: Sequence[str], ids: Iterator[int]) -> Iterator[tuple[int, str]]:
    """The frames, with the next ``ids``, that ask for ``method`` on all of the streams."""
    for first in range(0, len(streams), STREAMS_PER_COMMAND):
        id = next(ids)
        yield id, command(method, id, streams[first : first + STREAMS_PER_COMMAND])


def command(method: Method, id: int, streams: Sequence[str] = ()) -> str:
    """The frame of a command. The venue answers with ``id``; frames are to be `COMMAND_INTERVAL_S` apart."""
    parameters = {"params": list(streams)} if streams else {}
    return msgspec.json.encode({"method": method, **parameters, "id": id}).decode()
