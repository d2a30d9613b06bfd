"""What happens in Binance's markets, as its streams and REST answers tell it, and the values that we make of it.

Each struct names the venue's one-letter keys beside ours. Keys that it does not name are ignored: those of 2026
(``ps`` and ``st`` of a forced order, ``nq`` of a trade) came without notice, and more will.
"""

from decimal import Decimal

from msgspec import Raw, Struct, field

from marketdata.timeframes import TIMEFRAMES
from marketdata.types import BookTicker, Candle, DepthDelta, DepthSnapshot, Kline, Liquidation, Side, Ticker, Trade
from marketdata.venues.binance import VENUE
from marketdata.venues.binance.levels import levels
from marketdata.venues.binance.texts import AboveZero, Id, IdOrNone, Milliseconds, Number, SymbolText, Word

MARKET = "MARKET"


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


class AggregateTrade(Struct):
    """As REST lists them: the symbol is the one that was asked for."""

    id: Id = field(name="a")
    price: AboveZero = field(name="p")
    quantity: AboveZero = field(name="q")
    first_trade_id: Id = field(name="f")
    last_trade_id: Id = field(name="l")
    trade_ms: Milliseconds = field(name="T")
    is_buyer_maker: bool = field(name="m")


class AggTrade(AggregateTrade, tag_field="e", tag="aggTrade"):
    symbol: SymbolText = field(name="s")
    kind: Word = field(name="X", default=MARKET)


class SingleTrade(Struct, tag_field="e", tag="trade"):
    symbol: SymbolText = field(name="s")
    id: Id = field(name="t")
    price: Number = field(name="p")  # "0" of what is no trade of the market
    quantity: Number = field(name="q")
    trade_ms: Milliseconds = field(name="T")
    is_buyer_maker: bool = field(name="m")
    kind: Word = field(name="X", default=MARKET)


class DepthUpdate(Struct, tag_field="e", tag="depthUpdate"):
    symbol: SymbolText = field(name="s")
    first_id: Id = field(name="U")
    final_id: Id = field(name="u")
    previous_final_id: Id = field(name="pu")
    bids: Raw = field(name="b")
    asks: Raw = field(name="a")
    changed_ms: Milliseconds = field(name="T")


class BestLevels(Struct, tag_field="e", tag="bookTicker"):
    symbol: SymbolText = field(name="s")
    update_id: Id = field(name="u")
    bid_price: AboveZero = field(name="b")
    bid_quantity: Number = field(name="B")
    ask_price: AboveZero = field(name="a")
    ask_quantity: Number = field(name="A")
    changed_ms: Milliseconds = field(name="T")


class RunningKline(Struct):
    symbol: SymbolText = field(name="s")
    interval: str = field(name="i")
    open_ms: Milliseconds = field(name="t")
    first_trade_id: IdOrNone = field(name="f")
    last_trade_id: IdOrNone = field(name="L")
    open: AboveZero = field(name="o")
    high: AboveZero = field(name="h")
    low: AboveZero = field(name="l")
    close: AboveZero = field(name="c")
    volume: Number = field(name="v")
    quote_volume: Number = field(name="q")
    taker_buy_volume: Number = field(name="V")
    taker_buy_quote_volume: Number = field(name="Q")
    trade_count: Id = field(name="n")
    is_closed: bool = field(name="x")


class KlineRow(Struct, array_like=True):
    """As REST lists them."""

    open_ms: Milliseconds
    open: AboveZero
    high: AboveZero
    low: AboveZero
    close: AboveZero
    volume: Number
    last_ms: Milliseconds  # the last one that belongs to it
    quote_volume: Number
    trade_count: Id
    taker_buy_volume: Number
    taker_buy_quote_volume: Number


class KlineUpdate(Struct, tag_field="e", tag="kline"):
    sent_ms: Milliseconds = field(name="E")
    kline: RunningKline = field(name="k")


class Depth(Struct, rename="camel"):
    """REST's order book."""

    last_update_id: Id
    bids: Raw
    asks: Raw
    changed_ms: Milliseconds = field(name="T")


class DayTicker(Struct, rename="camel"):
    """REST's figures of the last 24 hours."""

    symbol: SymbolText
    last_price: Number
    quote_volume: Number


Event = Liquidation | Trade | DepthDelta | BookTicker | Kline
Payload = ForceOrder | AggTrade | SingleTrade | DepthUpdate | BestLevels | KlineUpdate


def event_of(payload: Payload, received_ms: int) -> Event | None:
    """None for what happened outside the market."""
    match payload:
        case DepthUpdate():
            return depth_delta(payload)
        case BestLevels():
            return book_ticker(payload)
        case AggTrade():
            return trade(payload, payload.symbol, received_ms) if payload.kind == MARKET else None
        case SingleTrade():
            return single_trade(payload, received_ms) if payload.kind == MARKET else None
        case KlineUpdate():
            return kline(payload)
        case ForceOrder():
            return liquidation(payload, received_ms)


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


def trade(payload: AggregateTrade, symbol: str, received_ms: int) -> Trade:
    return Trade(
        venue=VENUE,
        symbol=symbol,
        id=payload.id,
        price=Decimal(payload.price),
        quantity=Decimal(payload.quantity),
        taker_side=taker_side(payload.is_buyer_maker),
        event_ms=payload.trade_ms,
        received_ms=received_ms,
        first_trade_id=payload.first_trade_id,
        last_trade_id=payload.last_trade_id,
    )


def single_trade(payload: SingleTrade, received_ms: int) -> Trade:
    return Trade(
        venue=VENUE,
        symbol=payload.symbol,
        id=payload.id,
        price=above_zero(payload.price, "p"),
        quantity=above_zero(payload.quantity, "q"),
        taker_side=taker_side(payload.is_buyer_maker),
        event_ms=payload.trade_ms,
        received_ms=received_ms,
        first_trade_id=payload.id,
        last_trade_id=payload.id,
    )


def depth_delta(payload: DepthUpdate) -> DepthDelta:
    return DepthDelta(
        venue=VENUE,
        symbol=payload.symbol,
        first_id=payload.first_id,
        final_id=payload.final_id,
        previous_final_id=payload.previous_final_id,
        bids=levels(payload.bids),
        asks=levels(payload.asks),
        event_ms=payload.changed_ms,
    )


def depth_snapshot(payload: Depth, symbol: str) -> DepthSnapshot:
    return DepthSnapshot(
        venue=VENUE,
        symbol=symbol,
        last_update_id=payload.last_update_id,
        bids=levels(payload.bids),
        asks=levels(payload.asks),
        event_ms=payload.changed_ms,
    )


def book_ticker(payload: BestLevels) -> BookTicker:
    return BookTicker(
        venue=VENUE,
        symbol=payload.symbol,
        update_id=payload.update_id,
        best_bid=(Decimal(payload.bid_price), Decimal(payload.bid_quantity)),
        best_ask=(Decimal(payload.ask_price), Decimal(payload.ask_quantity)),
        event_ms=payload.changed_ms,
    )


def kline(payload: KlineUpdate) -> Kline:
    row = payload.kline
    if row.interval not in TIMEFRAMES:
        raise ValueError(f"No interval of candles - at `$.k.i`: {row.interval!r}")
    return Kline(
        candle=candle(row, row.symbol, row.interval, row.is_closed),
        first_trade_id=row.first_trade_id,
        last_trade_id=row.last_trade_id,
        event_ms=payload.sent_ms,
    )


def candle(row: RunningKline | KlineRow, symbol: str, timeframe: str, is_closed: bool) -> Candle:
    return Candle(
        venue=VENUE,
        symbol=symbol,
        timeframe=timeframe,
        open_ms=row.open_ms,
        open=Decimal(row.open),
        high=Decimal(row.high),
        low=Decimal(row.low),
        close=Decimal(row.close),
        volume=Decimal(row.volume),
        quote_volume=Decimal(row.quote_volume),
        taker_buy_volume=Decimal(row.taker_buy_volume),
        taker_buy_quote_volume=Decimal(row.taker_buy_quote_volume),
        trade_count=row.trade_count,
        is_closed=is_closed,
        is_empty=row.trade_count == 0,
    )


def ticker(payload: DayTicker) -> Ticker:
    return Ticker(
        symbol=payload.symbol, last_price=Decimal(payload.last_price), quote_volume=Decimal(payload.quote_volume)
    )


def taker_side(is_buyer_maker: bool) -> Side:
    """The buyer was resting in the book: the taker sold."""
    return Side.SELL if is_buyer_maker else Side.BUY


def above_zero(text: str, key: str) -> Decimal:
    if number := Decimal(text):
        return number
    raise ValueError(f"Expected a number above 0 - at `$.{key}`")
