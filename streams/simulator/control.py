"""``/control``: what the exchange is told to do wrong, and what it tells of itself. Nothing of this is Binance's."""

from collections.abc import Callable, Sequence
from typing import Annotated, Any, Literal
from urllib.parse import parse_qsl

import msgspec
from websockets.frames import CloseCode, Frame, Opcode

from streams.simulator.connection import REMEMBERED_FRAMES, Connection
from streams.simulator.exchange import Exchange, Frames
from streams.simulator.kinds import FORCE_ORDER, ForceOrderBody, force_order_event, pair_of
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
            connection.send(garbage_frame(kind, connection.is_combined))
    return ids(chosen)


def garbage_frame(kind: str, is_combined: bool) -> bytes:
    data = GARBAGE[kind]
    if kind == "binary":
        return Frame(Opcode.BINARY, data).serialize(mask=False)
    frames = Frames(str(FORCE_ORDER.all_symbols), data)
    return frames.combined if is_combined else frames.raw


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


def fail_rest(exchange: Exchange, command: Fail) -> Any:
    exchange.rest_fault.set(command.status, command.seconds)
    return state(exchange)


def refuse_handshakes(exchange: Exchange, command: Fail) -> Any:
    exchange.handshake_fault.set(command.status, command.seconds)
    return state(exchange)


def pause(exchange: Exchange, command: Nothing) -> Any:
    exchange.clock.stop()
    return state(exchange)


def resume(exchange: Exchange, command: Nothing) -> Any:
    exchange.clock.start()
    return state(exchange)


def inject(exchange: Exchange, command: Order) -> Any:
    now_ms = exchange.clock.now_ms()
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
    "rest": (Fail, fail_rest),
    "handshakes": (Fail, refuse_handshakes),
    "pause": (Nothing, pause),
    "resume": (Nothing, resume),
    "inject": (Order, inject),
}


class SentQuery(msgspec.Struct, forbid_unknown_fields=True):
    connection: int | None = None
    after: int = 0
    limit: Annotated[int, msgspec.Meta(ge=1)] | None = None


def state(exchange: Exchange) -> Any:
    clock = exchange.clock
    return {
        "now_ms": clock.now_ms(),
        "speed": clock.speed,
        "is_running": clock.is_running,
        "symbols": len(exchange.contracts),
        "connections": len(exchange.connections),
        "streams": len(exchange.followers),
        "events": exchange.events,
        "frames": exchange.frames,
        "forced_orders": exchange.sent.count,
        "rest_fault": exchange.rest_fault.current,
        "handshake_fault": exchange.handshake_fault.current,
    }


def connections(exchange: Exchange) -> Any:
    for connection in exchange.connections.values():
        connection.record.streams = list(connection.subscriptions.streams)
    for record in exchange.records.values():
        record.forced_orders = exchange.sent.counts[record.id]
    return list(exchange.records.values())


def control_answer(exchange: Exchange, method: str, name: str, query: str, body: bytes) -> Answer:
    """The answer to a request for /control/``name``; 400 says what is wrong with it."""
    try:
        if method == "GET" and name in ("state", "connections"):
            return Answer(200, state(exchange) if name == "state" else connections(exchange))
        if method == "GET" and name == "sent":
            asked = msgspec.convert(dict(parse_qsl(query)), SentQuery, strict=False)
            return Answer(200, exchange.sent.page(asked.connection, asked.after, asked.limit))
        if method == "POST" and name in COMMANDS:
            kind, perform = COMMANDS[name]
            return Answer(200, perform(exchange, msgspec.json.decode(body or b"{}", type=kind)))
    except (msgspec.DecodeError, msgspec.ValidationError, Rejected) as error:
        return Answer(400, {"detail": str(error)})
    return Answer(404, {"detail": f"GET state, connections, sent; POST {', '.join(COMMANDS)}"})
