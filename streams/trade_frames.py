"""The trades socket's frames as JSON text, keys in the contract's order. No Django."""

from collections.abc import Sequence

import msgspec

from marketdata.formatting import amount_formatter, price_formatter
from marketdata.rest.bodies import trade_item
from marketdata.types import Instrument, Trade
from streams.messages import text

SHOWN = 100

encode = msgspec.json.Encoder().encode


class TradesFrame(msgspec.Struct, frozen=True, tag_field="type", tag="trades_update"):
    """Trades, newest first."""

    symbol: str
    trades: Sequence[msgspec.Raw]
    initial: bool
    timestamp: int


def trade_rows(trades: Sequence[Trade], instrument: Instrument) -> list[msgspec.Raw]:
    """The trades as JSON, in the order given: each is in up to a hundred frames, and is written once."""
    formats = price_formatter(instrument), amount_formatter(instrument)
    return [msgspec.Raw(encode(trade_item(trade, *formats))) for trade in trades]


def trades_frame(symbol: str, rows: Sequence[msgspec.Raw], now_ms: int, *, initial: bool) -> str:
    """``rows`` are newest first; the newest `SHOWN` of them are sent."""
    return text(TradesFrame(symbol, rows[:SHOWN], initial, now_ms))
