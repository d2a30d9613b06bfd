"""Bodies of the answers, keys in the contract's order; numbers are the floats nearest to the decimals. No Django."""

from collections.abc import Iterable, Sequence

import msgspec
from msgspec import Raw, Struct

from marketdata.formatting import Format, amount_formatter, format_clock, price_formatter
from marketdata.types import Candle, DepthSnapshot, Instrument, Level, Side, Trade


class LevelItem(Struct, frozen=True, gc=False):
    price: float
    amount: float


class OrderBookBody(Struct, frozen=True):
    symbol: str
    bids: Sequence[LevelItem]
    asks: Sequence[LevelItem]
    timestamp: int


class WrittenBook(Struct):
    """An order book's body, its levels left as they are written."""

    symbol: str
    bids: list[Raw]
    asks: list[Raw]
    timestamp: int


class TradeItem(Struct, frozen=True, gc=False):
    id: str
    price: float
    amount: float
    side: str
    timestamp: int
    price_formatted: str
    amount_formatted: str
    time_formatted: str


class TradesBody(Struct, frozen=True):
    symbol: str
    trades: Sequence[TradeItem]
    timestamp: int


class CandleItem(Struct, frozen=True, gc=False):
    timestamp: int
    open: float
    high: float
    low: float
    close: float
    volume: float


encode = msgspec.json.Encoder().encode
decode_book = msgspec.json.Decoder(WrittenBook).decode
decode_trades = msgspec.json.Decoder(TradesBody).decode


def orderbook_json(symbol: str, book: DepthSnapshot) -> bytes:
    return encode(OrderBookBody(symbol, level_items(book.bids), level_items(book.asks), book.event_ms))


def level_items(levels: Iterable[Level]) -> list[LevelItem]:
    return [LevelItem(float(price), float(quantity)) for price, quantity in levels]


def orderbook_cut(body: bytes, limit: int) -> bytes:
    """The order book in ``body`` with its best ``limit`` levels a side."""
    book = decode_book(body)
    book.bids, book.asks = book.bids[:limit], book.asks[:limit]
    return encode(book)


def trades_json(instrument: Instrument, trades: Sequence[Trade], now_ms: int) -> bytes:
    """``trades`` are oldest first; the body has the newest first."""
    price, amount = price_formatter(instrument), amount_formatter(instrument)
    items = [trade_item(trade, price, amount) for trade in reversed(trades)]
    return encode(TradesBody(instrument.symbol, items, now_ms))


def trade_item(trade: Trade, price_text: Format, amount_text: Format) -> TradeItem:
    price, amount = float(trade.price), float(trade.quantity)
    return TradeItem(
        id=str(trade.id),
        price=price,
        amount=amount,
        side="sell" if trade.taker_side == Side.SELL else "buy",
        timestamp=trade.event_ms,
        price_formatted=price_text(price),
        amount_formatted=amount_text(amount),
        time_formatted=format_clock(trade.event_ms),
    )


def trades_cut(body: bytes, limit: int, since_ms: int | None) -> bytes:
    """The newest ``limit`` trades in ``body`` that are not older than ``since_ms``."""
    kept = decode_trades(body)
    newest = kept.trades[:limit]
    if since_ms is not None:
        newest = [trade for trade in newest if trade.timestamp >= since_ms]
    return encode(TradesBody(kept.symbol, newest, kept.timestamp))


def candles_json(candles: Iterable[Candle]) -> bytes:
    return encode([candle_item(candle) for candle in candles])


def candle_item(candle: Candle) -> CandleItem:
    return CandleItem(
        timestamp=candle.open_ms,
        open=float(candle.open),
        high=float(candle.high),
        low=float(candle.low),
        close=float(candle.close),
        volume=float(candle.volume),
    )
