"""The kinds of streams that the exchange has, and the payload of each: the one place to add another kind.

A new kind needs its payload, its `StreamKind` in `KINDS`, and somebody who makes its events (`market`).
Source: Binance's documentation of USD-M market streams, and frames of 2026; key order as on the wire.
"""

from dataclasses import dataclass
from typing import Literal, NamedTuple

import msgspec

from liquidations.types import ForcedOrder

Route = Literal["market", "public"]
ROUTES: tuple[Route, ...] = ("market", "public")
# Binance's division since 2026: these go by /public, all else by /market. Of single trades, which Binance does not
# document, client libraries say so.
PUBLIC_TYPES = ("depth", "bookTicker", "rpiDepth", "trade")


@dataclass(frozen=True, slots=True)
class StreamKind:
    """Its streams are named after the symbol and ``suffix``, "@" and the event's type; one may carry all symbols."""

    suffix: str
    all_symbols: str | None = None

    def streams(self, symbol: str) -> tuple[str, ...]:
        """The streams that carry an event of this symbol."""
        own = f"{symbol.lower()}{self.suffix}"
        return (self.all_symbols, own) if self.all_symbols else (own,)


AGG_TRADE = StreamKind("@aggTrade")
FORCE_ORDER = StreamKind("@forceOrder", all_symbols="!forceOrder@arr")
KINDS = {kind.suffix[1:]: kind for kind in (AGG_TRADE, FORCE_ORDER)}  # by the event's type, "e"


def route_of(stream: str) -> Route:
    """The route that carries a stream: "btcusdt@depth@100ms" is public."""
    kind = stream.partition("@")[2] or stream.removeprefix("!")
    return "public" if kind.startswith(PUBLIC_TYPES) or stream.startswith("!bookTicker") else "market"


class AggTrade(msgspec.Struct):
    """Trades of one taker at one price; ``m``: the buyer was the maker, so the taker sold."""

    e: str
    E: int
    s: str
    a: int
    p: str
    q: str
    f: int
    l: int  # noqa: E741
    T: int
    m: bool


class ForceOrderBody(msgspec.Struct, omit_defaults=True):
    """``S`` is the side of the forced order; ``q``, ``l``, ``z`` are base asset; ``T`` is the trade time."""

    s: str
    S: str
    o: str
    f: str
    q: str
    p: str
    ap: str
    X: str
    l: str  # noqa: E741
    z: str
    T: int
    # Since 2026: the pair of the contract, and a number that has only been seen as 1.
    ps: str | None = None
    st: int | None = None


class ForceOrder(msgspec.Struct):
    e: str
    E: int
    o: ForceOrderBody


Payload = AggTrade | ForceOrder | msgspec.Raw


class Event(NamedTuple):
    """One message of the exchange, sent at ``at_ms`` of its clock to whoever follows one of its streams.

    ``order`` is the forced order in it, if it is one.
    """

    at_ms: int
    streams: tuple[str, ...]
    payload: Payload
    order: ForceOrderBody | None = None


def force_order_event(event_ms: int, order: ForceOrderBody) -> Event:
    return Event(event_ms, FORCE_ORDER.streams(order.s), ForceOrder("forceOrder", event_ms, order), order)


def force_order_body(order: ForcedOrder) -> ForceOrderBody:
    """The order of a file as the exchange would have sent it; where the average price is unknown, it says "0"."""
    return ForceOrderBody(
        order.symbol,
        order.side,
        order.order_type or "LIMIT",
        order.time_in_force or "IOC",
        number_text(order.original_quantity),
        number_text(order.price),
        number_text(order.average_price),
        order.order_status or "FILLED",
        number_text(order.order_last_filled_quantity),
        number_text(order.order_filled_accumulated_quantity),
        order.order_trade_time,
        pair_of(order.symbol),
        1,
    )


def number_text(number: object) -> str:
    return "0" if number is None else f"{number:f}"


def pair_of(symbol: str) -> str:
    """BTCUSDT_261225 → BTCUSDT; a perpetual contract is its own pair."""
    return symbol.partition("_")[0]
