"""The sockets' frames as JSON text, keys in the contract's order. No Django.

Times in frames are ISO 8601 in UTC without an offset, as the terminal knows them.
"""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import msgspec

from liquidations.domain import format_iso
from liquidations.rendering import decimal_text
from liquidations.volume import VolumeBucket
from marketdata.formatting import format_clock, format_liquidation_quantity, format_notional
from marketdata.names import assets_guessed
from marketdata.types import Instrument, Liquidation


class OrderData(msgspec.Struct, frozen=True, kw_only=True, rename="camel", gc=False):
    """A forced order as terminals show it. ``timestamp`` is when it traded, ms; numbers are exact decimals as text."""

    symbol: str
    side: str
    quantity: str
    quantity_formatted: str
    price_usdt: str
    price_usdt_formatted: str
    timestamp: int
    display_time: str
    avg_price: str
    base_asset: str


class OrderFrame(msgspec.Struct, frozen=True, tag_field="type", tag="liquidation_order"):
    """One live order. ``previous`` is the number before its own: a client that has not seen it has missed something."""

    symbol: str
    data: OrderData
    timestamp: str
    sequence: int | None
    previous: int | None


class InitialFrame(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="type", tag="liquidation_order"):
    """The newest orders, newest first. ``simulated`` is there only when they are made up."""

    symbol: str
    data: Sequence[OrderData]
    initial: bool
    timestamp: str
    simulated: bool = False


class VolumeFrame(msgspec.Struct, frozen=True, tag_field="type", tag="liquidation_volume"):
    """Volume buckets: all of them, or (``is_update``) those that have changed, each with its whole sum."""

    symbol: str
    timeframe: str
    data: Sequence[VolumeBucket]
    timestamp: str
    is_update: bool


class HeartbeatFrame(msgspec.Struct, frozen=True, tag_field="type", tag="heartbeat"):
    symbol: str | msgspec.UnsetType
    timestamp: str


class ErrorFrame(msgspec.Struct, frozen=True, tag_field="type", tag="error"):
    message: str
    timestamp: str


class PlainErrorFrame(msgspec.Struct, frozen=True, tag_field="type", tag="error"):
    """An error on the sockets of books, trades and candles, which have no time in theirs."""

    message: str


class FilterFrame(msgspec.Struct, frozen=True, tag_field="type", tag="filter"):
    """What a socket of all symbols sends from now on; None: any."""

    min_usd: float | None
    side: str | None
    symbols: Sequence[str] | None
    timestamp: str


class FeedFrame(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="feed"):
    """The first frame on a socket of all symbols.

    ``sequence`` is the number of the newest stored order, None where none is known. ``resumed_from`` is the number
    after which orders follow; with ``complete`` false that is later than the client asked for, and ``message`` why.
    """

    feed: str
    simulated: bool
    sequence: int | None
    resumed_from: int | None
    complete: bool
    message: str | None
    timestamp: str


def order_data(
    symbol: str,
    side: str,
    quantity: Decimal,
    average_price: Decimal,
    event_ms: int,
    instrument: Instrument | None = None,
) -> OrderData:
    notional = quantity * average_price
    return OrderData(
        symbol=symbol,
        side=side.upper(),
        quantity=decimal_text(quantity),
        quantity_formatted=format_liquidation_quantity(quantity, instrument),
        price_usdt=decimal_text(notional),
        price_usdt_formatted=format_notional(notional),
        timestamp=event_ms,
        display_time=format_clock(event_ms),
        avg_price=decimal_text(average_price),
        base_asset=instrument.base_asset if instrument and instrument.base_asset else assets_guessed(symbol)[0],
    )


def order_frame(order: Liquidation, instrument: Instrument | None, sequence: int | None) -> str:
    """The frame of one live order; ``sequence`` is None while it is not stored yet."""
    data = order_data(
        order.symbol,
        order.side,
        order.filled_quantity,
        order.price if order.average_price is None else order.average_price,
        order.event_ms,
        instrument,
    )
    previous = None if sequence is None else sequence - 1
    return text(OrderFrame(order.symbol, data, iso(order.event_ms), sequence, previous))


def initial_frame(symbol: str, orders: Sequence[OrderData], now_ms: int, *, simulated: bool) -> str:
    return text(InitialFrame(symbol, orders, True, iso(now_ms), simulated))


def volume_frame(symbol: str, timeframe: str, buckets: Sequence[VolumeBucket], now_ms: int, *, is_update: bool) -> str:
    return text(VolumeFrame(symbol, timeframe, buckets, iso(now_ms), is_update))


def heartbeat_frame(symbol: str | None, now_ms: int) -> str:
    return text(HeartbeatFrame(msgspec.UNSET if symbol is None else symbol, iso(now_ms)))


def error_frame(message: str, now_ms: int) -> str:
    return text(ErrorFrame(message, iso(now_ms)))


def plain_error_frame(message: str) -> str:
    return text(PlainErrorFrame(message))


PONG = '{"type":"pong"}'
TEST_GREETING = (
    '{"type":"connection_test","status":"success","message":"WebSocket connection established successfully"}'
)
TEST_REFUSAL = '{"type":"error","message":"Invalid JSON received"}'


def echo_frame(message: Any) -> str:
    return text({"type": "echo", "original": message, "timestamp": "test"})


def iso(timestamp_ms: int) -> str:
    return format_iso(timestamp_ms).removesuffix("+00:00")


def text(frame: Any) -> str:
    return msgspec.json.encode(frame).decode()
