"""``/control``: what the exchange is told to do wrong, and what it tells of itself. Nothing of this is Binance's."""

from collections.abc import Callable, Sequence
from typing import Annotated, Any, Literal
from urllib.parse import parse_qsl

import msgspec
from websockets.frames import CloseCode, Frame, Opcode

from streams.simulator.broadcast import REMEMBERED_DIFFS, DepthStream
from streams.simulator.connection import REMEMBERED_FRAMES, Connection
from streams.simulator.exchange import Exchange, Fault, Frames
from streams.simulator.kinds import AGG_TRADE, FORCE_ORDER, Event, ForceOrderBody, force_order_event, pair_of
from streams.simulator.rest import Answer

Seconds = Annotated[float, msgspec.Meta(gt=0, le=86_400)]
SAMPLE = (
    b'{"e":"forceOrder","E":1791565603055,"o":{"s":"BTCUSDT","S":"BUY","o":"LIMIT","f":"IOC","q":"0.190",'
    b'"p":"82338.30","ap":"82651.90","X":"FILLED","l":"0.155","z":"0.190","T":1791565602120,"ps":"BTCUSDT","st":1}}'
)
GARBAGE = {
    "bad_json": SAMPLE.replace(b'"BTCUSDT"', b"BTCUSDT"),
    "truncated": SAMPLE[: len(SAMPLE) // 2],
    "wrong_types": b'{"e":"forceOrder","E":"soon","o":{"s":7,"S":null,"q":[],"p":{},"ap":true,"T":"now"}}',
    "wrong_values": SAMPLE.replace(b'"0.190"', b'"-0.190"').replace(b'"82651.90"', b'"NaN"'),
    "unknown_event": b'{"e":"newEvent","E":1791565603055,"o":{"s":"BTCUSDT"}}',
    "no_object": b"[1,2,3]",
    "not_utf8": b'{"e":"\xff\xfe"}',
    "binary": bytes(range(256)),
}


class Command(msgspec.Struct, forbid_unknown_fields=True):
    """``connections`` are ids; all that are open unless given."""

    connections: list[int] | None = None


class Drop(Command):
    how: Literal["reset", "close"] = "reset"
    code: Annotated[int, msgspec.Meta(ge=1000, le=4999)] = int(CloseCode.GOING_AWAY)
    reason: str = ""


class Stall(Command, kw_only=True):
    seconds: Seconds


class Garbage(Command):
    """Every kind once unless ``kinds`` names some."""

    kinds: Sequence[str] = tuple(GARBAGE)


class Repeat(Command):
    frames: Annotated[int, msgspec.Meta(ge=1, le=REMEMBERED_FRAMES)] = 1


class Fail(msgspec.Struct, forbid_unknown_fields=True):
    """Answer with ``status`` for so long; 0 seconds end it."""

    status: Literal[403, 418, 429, 451, 500, 502, 503, 504]
    seconds: Annotated[float, msgspec.Meta(ge=0, le=86_400)]


class FailRest(Fail):
    """All paths unless ``path`` is given."""

    path: str | None = None


class Some(msgspec.Struct, forbid_unknown_fields=True):
    """``count`` messages of each stream that is followed now: those of one symbol, or all."""

    symbol: str | None = None
    count: Annotated[int, msgspec.Meta(ge=1, le=REMEMBERED_DIFFS)] = 1


class Order(msgspec.Struct, forbid_unknown_fields=True):
    """A forced order with the keys of the wire; ``T`` is now unless given."""

    s: str
    S: Literal["BUY", "SELL"]
    q: str
    p: str
    ap: str | None = None
    l: str | None = None  # noqa: E741
    z: str | None = None
    X: str = "FILLED"
    T: int | None = None


class Nothing(msgspec.Struct, forbid_unknown_fields=True):
    """A command without anything to say."""


class Rejected(Exception):
    """A request that means nothing."""


def drop(exchange: Exchange, command: Drop) -> Any:
    chosen = meant(exchange, command)
    for connection in chosen:
        if command.how == "reset":
            connection.reset("control: reset")
        else:
            connection.close(command.code, command.reason)
    return ids(chosen)


def stall(exchange: Exchange, command: Stall) -> Any:
    chosen = meant(exchange, command)
    for connection in chosen:
        connection.silence(command.seconds)
    return ids(chosen)


def send_garbage(exchange: Exchange, command: Garbage) -> Any:
    if unknown := [kind for kind in command.kinds if kind not in GARBAGE]:
        raise Rejected(f"kinds: {', '.join(unknown)} not among {', '.join(GARBAGE)}")
    chosen = meant(exchange, command)
    for connection in chosen:
        for kind in command.kinds:
            connection.send(garbage_frame(kind, connection))
    return ids(chosen)


def garbage_frame(kind: str, connection: Connection) -> bytes:
    data = GARBAGE[kind]
    if kind == "binary":
        return Frame(Opcode.BINARY, data).serialize(mask=False)
    return Frames(str(FORCE_ORDER.all_symbols), data).of(connection)


def repeat(exchange: Exchange, command: Repeat) -> Any:
    chosen = meant(exchange, command)
    for connection in chosen:
        for frame in list(connection.recent)[-command.frames :]:
            connection.send(frame)
    return ids(chosen)


def expire(exchange: Exchange, command: Command) -> Any:
    chosen = meant(exchange, command)
    for connection in chosen:
        connection.expire()
    return ids(chosen)


def fail_rest(exchange: Exchange, command: FailRest) -> Any:
    fault = exchange.rest_fault
    if command.path is not None:
        fault = exchange.path_faults.setdefault(command.path, Fault())
    fault.set(command.status, command.seconds)
    return state(exchange)


def refuse_handshakes(exchange: Exchange, command: Fail) -> Any:
    exchange.handshake_fault.set(command.status, command.seconds)
    return state(exchange)


def skip_diffs(exchange: Exchange, command: Some) -> Any:
    """They are made, and not sent."""
    streams = depth_streams(exchange, command)
    for stream in streams.values():
        stream.to_skip += command.count
    return {"streams": list(streams)}


def repeat_diffs(exchange: Exchange, command: Some) -> Any:
    """Those made last are sent once more, in their order."""
    streams = depth_streams(exchange, command)
    for name, stream in streams.items():
        for update in list(stream.recent)[-command.count :]:
            exchange.publish(Event(exchange.now_ms(), (name,), update))
    return {"streams": list(streams)}


def depth_streams(exchange: Exchange, command: Some) -> dict[str, DepthStream]:
    known(exchange, command.symbol)
    return exchange.broadcast.depth_streams(command.symbol)


def skip_trades(exchange: Exchange, command: Some) -> Any:
    """They happen, and are not sent."""
    known(exchange, command.symbol)
    followed = [symbol for symbol in exchange.broadcast.listings if AGG_TRADE.streams(symbol)[0] in exchange.followers]
    symbols = followed if command.symbol is None else [command.symbol]
    for symbol in symbols:
        exchange.broadcast.skip_trades(symbol, command.count)
    return {"symbols": symbols}


def known(exchange: Exchange, symbol: str | None) -> None:
    """Raises `Rejected` for a symbol that has no market data."""
    if symbol is not None and symbol not in exchange.broadcast.listings:
        raise Rejected(f"symbol: {symbol} has no market data")


def reset_requests(exchange: Exchange, command: Nothing) -> Any:
    """Count from 0 again; what was counted."""
    counts = dict(exchange.requests)
    exchange.requests.clear()
    return counts


def pause(exchange: Exchange, command: Nothing) -> Any:
    exchange.clock.stop()
    return state(exchange)


def resume(exchange: Exchange, command: Nothing) -> Any:
    exchange.clock.start()
    return state(exchange)


def inject(exchange: Exchange, command: Order) -> Any:
    now_ms = exchange.now_ms()
    filled = command.z or command.q
    order = ForceOrderBody(
        s=command.s,
        S=command.S,
        o="LIMIT",
        f="IOC",
        q=command.q,
        p=command.p,
        ap=command.ap or command.p,
        X=command.X,
        l=command.l or filled,
        z=filled,
        T=now_ms if command.T is None else command.T,
        ps=pair_of(command.s),
        st=1,
    )
    event = force_order_event(now_ms, order)
    exchange.publish(event)
    return event.payload


def meant(exchange: Exchange, command: Command) -> list[Connection]:
    """Raises `Rejected` for one that is not open."""
    if command.connections is None:
        return list(exchange.connections.values())
    if unknown := [str(id) for id in command.connections if id not in exchange.connections]:
        raise Rejected(f"connections: {', '.join(unknown)} not open")
    return [exchange.connections[id] for id in command.connections]


def ids(connections: list[Connection]) -> Any:
    return {"connections": [connection.id for connection in connections]}


COMMANDS: dict[str, tuple[type[Any], Callable[[Exchange, Any], Any]]] = {
    "drop": (Drop, drop),
    "stall": (Stall, stall),
    "garbage": (Garbage, send_garbage),
    "repeat": (Repeat, repeat),
    "expire": (Command, expire),
    "rest": (FailRest, fail_rest),
    "handshakes": (Fail, refuse_handshakes),
    "depth_skip": (Some, skip_diffs),
    "depth_repeat": (Some, repeat_diffs),
    "trades_skip": (Some, skip_trades),
    "requests": (Nothing, reset_requests),
    "pause": (Nothing, pause),
    "resume": (Nothing, resume),
    "inject": (Order, inject),
}


class NoQuery(msgspec.Struct):
    """Whatever is in the query says nothing."""


class SentQuery(msgspec.Struct, forbid_unknown_fields=True):
    connection: int | None = None
    after: int = 0
    limit: Annotated[int, msgspec.Meta(ge=1)] | None = None


class BookQuery(msgspec.Struct, forbid_unknown_fields=True):
    symbol: str
    id: int | None = None


def state(exchange: Exchange) -> Any:
    clock = exchange.clock
    return {
        "now_ms": exchange.now_ms(),
        "speed": clock.speed,
        "is_running": clock.is_running,
        "symbols": len(exchange.contracts),
        "connections": len(exchange.connections),
        "streams": len(exchange.followers),
        "events": exchange.events,
        "frames": exchange.frames,
        "forced_orders": exchange.sent.count,
        "rest_fault": exchange.rest_fault.current,
        "path_faults": {path: fault.current for path, fault in exchange.path_faults.items() if fault.current},
        "handshake_fault": exchange.handshake_fault.current,
    }


def book(exchange: Exchange, asked: BookQuery) -> Any:
    """The whole book, now or as of one of its last updates."""
    known(exchange, asked.symbol)
    listing, book = exchange.broadcast.listings[asked.symbol], exchange.broadcast.book(asked.symbol)
    view = book.view() if asked.id is None else book.view_at(asked.id)
    if view is None:
        raise Rejected(f"id: {asked.id} is none of the last ones, up to {book.id}")
    bids, asks = listing.level_texts(view.bids), listing.level_texts(view.asks)
    return {"symbol": asked.symbol, "lastUpdateId": view.id, "T": view.time_ms, "bids": bids, "asks": asks}


def connections(exchange: Exchange) -> Any:
    for connection in exchange.connections.values():
        connection.record.streams = list(connection.subscriptions.streams)
    for record in exchange.records.values():
        record.forced_orders = exchange.sent.counts[record.id]
    return list(exchange.records.values())


def sent(exchange: Exchange, asked: SentQuery) -> Any:
    return exchange.sent.page(asked.connection, asked.after, asked.limit)


QUESTIONS: dict[str, tuple[type[Any], Callable[[Exchange, Any], Any]]] = {
    "state": (NoQuery, lambda exchange, _: state(exchange)),
    "connections": (NoQuery, lambda exchange, _: connections(exchange)),
    "sent": (SentQuery, sent),
    "book": (BookQuery, book),
    "requests": (NoQuery, lambda exchange, _: dict(exchange.requests)),
}


def control_answer(exchange: Exchange, method: str, name: str, query: str, body: bytes) -> Answer:
    """The answer to a request for /control/``name``; 400 says what is wrong with it."""
    try:
        if method == "GET" and name in QUESTIONS:
            kind, tell = QUESTIONS[name]
            return Answer(200, tell(exchange, msgspec.convert(dict(parse_qsl(query)), kind, strict=False)))
        if method == "POST" and name in COMMANDS:
            kind, perform = COMMANDS[name]
            return Answer(200, perform(exchange, msgspec.json.decode(body or b"{}", type=kind)))
    except (msgspec.DecodeError, msgspec.ValidationError, Rejected) as error:
        return Answer(400, {"detail": str(error)})
    return Answer(404, {"detail": f"GET {', '.join(QUESTIONS)}; POST {', '.join(COMMANDS)}"})
