"""The frames of the candle sockets as JSON text, keys in the contract's order. No Django.

Prices and volumes are JSON numbers, as charts want them; they come from exact decimals.
"""

from collections.abc import Sequence

import msgspec

from liquidations.domain import format_iso
from marketdata.formatting import PriceFormat, price_format
from marketdata.types import Candle, Instrument
from streams.messages import text


class CandleData(msgspec.Struct, frozen=True, gc=False):
    """One candle; ``timestamp`` is its opening in ms, ``time`` in seconds."""

    timestamp: int
    time: int
    open: float
    high: float
    low: float
    close: float
    volume: float


class TimeRange(msgspec.Struct, frozen=True):
    """From the opening of the first candle to that of the last."""

    start_ms: int
    end_ms: int
    start: str
    end: str


class SymbolData(msgspec.Struct, frozen=True, rename="camel"):
    price_format: PriceFormat


class HistoryFrame(msgspec.Struct, frozen=True, tag_field="type", tag="historical_candles", omit_defaults=True):
    """``count`` and what follows are left out where there are no candles."""

    symbol: str
    timeframe: str
    data: Sequence[CandleData]
    count: int | None = None
    time_range: TimeRange | None = None
    symbol_data: SymbolData | None = msgspec.field(name="symbolData", default=None)


class UpdateFrame(msgspec.Struct, frozen=True, tag_field="type", tag="candle_update"):
    symbol: str
    timeframe: str
    timestamp: int
    time: int
    open: float
    high: float
    low: float
    close: float
    volume: float
    stream_timestamp: int  # of the venue's event that changed it, ms


def history_frame(instrument: Instrument, timeframe: str, candles: Sequence[Candle]) -> str:
    """All candles a chart begins with, the earliest first; the last may be the running one."""
    data = [candle_data(candle) for candle in candles]
    if not data:
        return text(HistoryFrame(instrument.symbol, timeframe, data))
    start_ms, end_ms = data[0].timestamp, data[-1].timestamp
    shown = TimeRange(start_ms, end_ms, format_iso(start_ms), format_iso(end_ms))
    known = SymbolData(price_format(instrument))
    return text(HistoryFrame(instrument.symbol, timeframe, data, len(data), shown, known))


def update_frame(candle: Candle, event_ms: int) -> str | None:
    """A candle that has changed; None for one that no chart could draw."""
    if not is_drawable(candle):
        return None
    data = candle_data(candle)
    figures = data.timestamp, data.time, data.open, data.high, data.low, data.close, data.volume
    return text(UpdateFrame(candle.symbol, candle.timeframe, *figures, event_ms))


def is_drawable(candle: Candle) -> bool:
    prices = candle.open, candle.high, candle.low, candle.close
    is_ordered = candle.low <= candle.open <= candle.high and candle.low <= candle.close <= candle.high
    return min(prices) > 0 and candle.volume >= 0 and is_ordered


def candle_data(candle: Candle) -> CandleData:
    prices = float(candle.open), float(candle.high), float(candle.low), float(candle.close)
    return CandleData(candle.open_ms, candle.open_ms // 1000, *prices, float(candle.volume))
