"""The kinds of streams that the exchange has, and the payload of each: the one place to add another kind.

A new kind needs its payload, and somebody who makes its events: those of the market, which come of themselves, are
`StreamKind`s in `KINDS` (`market`); those that are made for who follows them are in `FOLLOWED` (`broadcast`).
Source: Binance's documentation of USD-M market streams, and frames of 2026; key order as on the wire.
"""

from dataclasses import dataclass
from typing import Literal, NamedTuple

import msgspec

from liquidations.types import ForcedOrder
from marketdata.timeframes import TIMEFRAMES

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

Follower = Literal["depth", "book ticker", "kline", "mark price", "ticker"]
# Streams made for who follows them, by what comes after the symbol and "@": who makes them, and how often (ms) at most;
# 0 is at every change. Of all symbols there is `ALL_TICKERS`.
FOLLOWED: dict[str, tuple[Follower, int]] = {
    "depth@100ms": ("depth", 100),
    "depth": ("depth", 250),
    "depth@500ms": ("depth", 500),
    "bookTicker": ("book ticker", 0),
    **{f"kline_{interval}": ("kline", 250) for interval in TIMEFRAMES},
    "markPrice": ("mark price", 3000),
    "markPrice@1s": ("mark price", 1000),
    "ticker": ("ticker", 1000),
}
ALL_TICKERS = "!ticker@arr"


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


LevelTexts = list[tuple[str, str]]  # price, quantity


class DepthUpdate(msgspec.Struct):
    """Changed levels with their new quantities: the updates ``U`` to ``u``, after that which ended with ``pu``."""

    e: str
    E: int
    T: int
    s: str
    U: int
    u: int
    pu: int
    b: LevelTexts
    a: LevelTexts


class BookTickerUpdate(msgspec.Struct):
    """The best levels as of update ``u``."""

    e: str
    u: int
    s: str
    b: str
    B: str
    a: str
    A: str
    T: int
    E: int


class KlineBody(msgspec.Struct):
    """From ``t`` to ``T``, ms; ``f`` and ``L`` are the first and last single trade, -1 where there is none."""

    t: int
    T: int
    s: str
    i: str
    f: int
    L: int
    o: str
    c: str
    h: str
    l: str  # noqa: E741
    v: str
    n: int
    x: bool
    q: str
    V: str
    Q: str
    B: str = "0"


class KlineUpdate(msgspec.Struct):
    e: str
    E: int
    s: str
    k: KlineBody


class MarkPriceUpdate(msgspec.Struct):
    """Mark and index price, the estimated price of a settlement now, the funding rate and when it is paid next."""

    e: str
    E: int
    s: str
    p: str
    P: str
    i: str
    r: str
    T: int


class TickerUpdate(msgspec.Struct):
    """What was traded within 24 hours, from ``O`` to ``C``; ``n`` single trades, ``F`` to ``L``."""

    e: str
    E: int
    s: str
    p: str
    P: str
    w: str
    c: str
    Q: str
    o: str
    h: str
    l: str  # noqa: E741
    v: str
    q: str
    O: int  # noqa: E741
    C: int
    F: int
    L: int
    n: int


Followed = DepthUpdate | BookTickerUpdate | KlineUpdate | MarkPriceUpdate | TickerUpdate | list[TickerUpdate]
Payload = AggTrade | ForceOrder | Followed | msgspec.Raw
NOTHING = msgspec.Raw(b"")


class Event(NamedTuple):
    """One message of the exchange, sent at ``at_ms`` of its clock to whoever follows one of its streams.

    ``order`` is the forced order in it, if it is one. An event without streams is a **beat**: a moment at which the
    exchange looks for what else is due.
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
