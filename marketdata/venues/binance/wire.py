"""Binance's frames, and the events that they carry.

Each wire struct names the venue's one-letter keys beside ours. Keys that it does not name are ignored: those of 2026
(``ps`` and ``st`` of a forced order, ``nq`` of a trade) came without notice, and more will.
"""

from decimal import Decimal
from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, Raw, Struct, UnsetType, field

from marketdata.errors import VenuePayloadError
from marketdata.types import Liquidation, Side, Trade
from marketdata.venues.binance import VENUE

EXCERPT_LENGTH = 200  # of a frame, in an error's text
MARKET = "MARKET"

# Bounds that any honest frame keeps: times to the year 9999, letters and digits of any script (币安人生USDT exists).
Milliseconds = Annotated[int, Meta(gt=0, le=253_402_300_799_999)]
SymbolText = Annotated[str, Meta(pattern=r"\A\w+\Z", max_length=64)]
Word = Annotated[str, Meta(pattern=r"\A[A-Z_]+\Z", max_length=40)]
Number = Annotated[str, Meta(pattern=r"\A[0-9]{1,25}(?:\.[0-9]{1,18})?\Z")]
AboveZero = Annotated[str, Meta(pattern=r"\A(?=[0.]*[1-9])[0-9]{1,25}(?:\.[0-9]{1,18})?\Z")]
TradeId = Annotated[int, Meta(ge=0, le=2**63 - 1)]


class ForcedOrder(Struct):
    symbol: SymbolText = field(name="s")
    side: Side = field(name="S")
    order_type: Word = field(name="o")
    time_in_force: Word = field(name="f")
    original_quantity: Number = field(name="q")
    price: Number = field(name="p")
    average_price: Number = field(name="ap")
    status: Word = field(name="X")
    last_filled_quantity: Number = field(name="l")
    filled_quantity: Number = field(name="z")
    trade_ms: Milliseconds = field(name="T")


class ForceOrder(Struct, tag_field="e", tag="forceOrder"):
    sent_ms: Milliseconds = field(name="E")
    order: ForcedOrder = field(name="o")


class AggTrade(Struct, tag_field="e", tag="aggTrade"):
    symbol: SymbolText = field(name="s")
    id: TradeId = field(name="a")
    price: AboveZero = field(name="p")
    quantity: AboveZero = field(name="q")
    first_trade_id: TradeId = field(name="f")
    last_trade_id: TradeId = field(name="l")
    trade_ms: Milliseconds = field(name="T")
    is_buyer_maker: bool = field(name="m")
    kind: Word = field(name="X", default=MARKET)


class CommandError(Struct):
    code: int
    msg: str = ""


class Envelope(Struct):
    """Any JSON object of Binance's: the wrapping of a combined stream, a bare payload, or the answer to a command."""

    data: Raw | UnsetType = UNSET
    event: str | UnsetType = field(name="e", default=UNSET)
    id: int | str | UnsetType | None = UNSET
    result: list[str] | UnsetType | None = UNSET
    error: CommandError | UnsetType = UNSET
    code: int | UnsetType = UNSET
    msg: str = ""


class CommandReply(Struct, frozen=True, kw_only=True):
    """The venue's answer to a SUBSCRIBE, UNSUBSCRIBE or LIST_SUBSCRIPTIONS frame, told by its ``id`` (None: unknown).

    ``error`` is None when the command was carried out; ``streams`` is what LIST_SUBSCRIPTIONS lists.
    """

    id: int | str | None
    streams: list[str] | None = None
    error: str | None = None


Event = Liquidation | Trade
Payload = ForceOrder | AggTrade

decode_frame = msgspec.json.Decoder(Envelope | list[Raw]).decode
decode_payloads = msgspec.json.Decoder(Payload | list[Payload]).decode


def decode(frame: bytes | str, received_ms: int) -> list[Event | CommandReply]:
    """What a frame says, in its order: combined, bare, an array, or the answer to a command.

    It may say nothing: prints of the insurance fund and the like are no trades. Raises `VenuePayloadError` for whatever
    cannot be understood, events of other kinds included.
    """
    try:
        envelope = decode_frame(frame)
        if isinstance(envelope, list):
            return events(decode_payloads(frame), received_ms)
        if envelope.data is not UNSET:
            return events(decode_payloads(envelope.data), received_ms)
        if envelope.event is not UNSET:
            return events(decode_payloads(frame), received_ms)
        return [command_reply(envelope)]
    except (ValueError, RecursionError) as error:
        raise VenuePayloadError(f"{VENUE}: a frame that cannot be understood: {error}: {excerpt(frame)}") from error


def carries_data(frame: bytes | str) -> bool:
    """Whether a frame is of some stream, also of one that `decode` does not know: a sign that the venue is well."""
    try:
        envelope = decode_frame(frame)
    except (ValueError, RecursionError):
        return False
    return is_data(envelope)


def is_data(envelope: Envelope | list[Raw]) -> bool:
    return isinstance(envelope, list) or envelope.data is not UNSET or envelope.event is not UNSET


def reply_of(frame: bytes | str) -> CommandReply | None:
    """The answer to a command, if the frame is one."""
    try:
        envelope = decode_frame(frame)
        return None if isinstance(envelope, list) or is_data(envelope) else command_reply(envelope)
    except (ValueError, RecursionError):
        return None


def events(payloads: Payload | list[Payload], received_ms: int) -> list[Event | CommandReply]:
    found: list[Event | CommandReply] = []
    for payload in payloads if isinstance(payloads, list) else (payloads,):
        if isinstance(payload, ForceOrder):
            found.append(liquidation(payload, received_ms))
        elif payload.kind == MARKET:
            found.append(trade(payload, received_ms))
    return found


def liquidation(payload: ForceOrder, received_ms: int) -> Liquidation:
    order = payload.order
    return Liquidation(
        venue=VENUE,
        symbol=order.symbol,
        side=order.side,
        order_type=order.order_type,
        time_in_force=order.time_in_force,
        status=order.status,
        original_quantity=Decimal(order.original_quantity),
        price=Decimal(order.price),
        # "0" says that nothing is filled: taken for an average, the order would count as a fill of no value.
        average_price=Decimal(order.average_price) or None,
        last_filled_quantity=Decimal(order.last_filled_quantity),
        filled_quantity=Decimal(order.filled_quantity),
        # T, not E: the event is sent up to a second later, and every recording knows an order by its T.
        event_ms=order.trade_ms,
        sent_ms=payload.sent_ms,
        received_ms=received_ms,
    )


def trade(payload: AggTrade, received_ms: int) -> Trade:
    return Trade(
        venue=VENUE,
        symbol=payload.symbol,
        id=payload.id,
        price=Decimal(payload.price),
        quantity=Decimal(payload.quantity),
        # "m": the buyer was resting in the book, so the taker sold.
        taker_side=Side.SELL if payload.is_buyer_maker else Side.BUY,
        event_ms=payload.trade_ms,
        received_ms=received_ms,
        first_trade_id=payload.first_trade_id,
        last_trade_id=payload.last_trade_id,
    )


def command_reply(envelope: Envelope) -> CommandReply:
    """The answer to a command: {"result", "id"}, {"error": {"code", "msg"}, "id"} or {"code", "msg", "id"}."""
    id = None if envelope.id is UNSET else envelope.id
    if envelope.error is not UNSET:
        return CommandReply(id=id, error=f"{envelope.error.msg} (code {envelope.error.code})")
    if envelope.code is not UNSET:
        return CommandReply(id=id, error=f"{envelope.msg} (code {envelope.code})")
    if envelope.result is UNSET or id is None:
        raise ValueError("neither data nor the answer to a command")
    return CommandReply(id=id, streams=envelope.result)


def excerpt(frame: bytes | str) -> str:
    """The beginning of a frame, fit for a line of a log."""
    return ascii(frame[:EXCERPT_LENGTH])
