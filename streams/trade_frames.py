"""The trades socket's frames as JSON text, keys in the contract's order. No Django."""

from collections.abc import Sequence

import msgspec

from marketdata.formatting import Format, amount_formatter, format_clock, price_formatter
from marketdata.types import Instrument, Trade
from streams.messages import text

SHOWN = 100

encode = msgspec.json.Encoder().encode


class TradeData(msgspec.Struct, frozen=True, gc=False):
    """``side`` is the taker's: "buy" or "sell". ``timestamp`` is when it traded, ms."""

    id: str
    price: float
    amount: float
    side: str
    timestamp: int
    price_formatted: str
    amount_formatted: str
    time_formatted: str


class TradesFrame(msgspec.Struct, frozen=True, tag_field="type", tag="trades_update"):
    """Trades, newest first."""

    symbol: str
    trades: Sequence[msgspec.Raw]
    initial: bool
    timestamp: int


def trade_rows(trades: Sequence[Trade], instrument: Instrument) -> list[msgspec.Raw]:
    """The trades as JSON, in the order given: each is in up to a hundred frames, and is written once."""
    formats = price_formatter(instrument), amount_formatter(instrument)
    return [msgspec.Raw(encode(trade_data(trade, *formats))) for trade in trades]


def trades_frame(symbol: str, rows: Sequence[msgspec.Raw], now_ms: int, *, initial: bool) -> str:
    """``rows`` are newest first; the newest `SHOWN` of them are sent."""
    return text(TradesFrame(symbol, rows[:SHOWN], initial, now_ms))


def trade_data(trade: Trade, price_text: Format, amount_text: Format) -> TradeData:
    price, amount = float(trade.price), float(trade.quantity)
    return TradeData(
        id=str(trade.id),
        price=price,
        amount=amount,
        side=trade.taker_side.lower(),
        timestamp=trade.event_ms,
        price_formatted=price_text(price),
        amount_formatted=amount_text(amount),
        time_formatted=format_clock(trade.event_ms),
    )
