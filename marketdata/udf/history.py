"""Bars for UDF charts: by count back from a time, or between two times. Times are Unix seconds."""

from collections.abc import Sequence
from typing import Any

from marketdata.candles.history import candle_history, candles_between
from marketdata.rest.candles import candles_found
from marketdata.types import Candle

MAX_BARS = 5000  # in an answer: of more, the newest


def history(symbol: str, timeframe: str, from_s: int | None, to_s: int, countback: int) -> dict[str, Any]:
    """UDF's answer: the ``countback`` bars that open before ``to_s``, else (0) all that open from ``from_s`` on.

    Where there is none in between, it says when the nearest earlier one opens.
    """
    to_ms = to_s * 1000
    if countback > 0 or from_s is None:
        count = min(countback or MAX_BARS, MAX_BARS)
        return bars_table(candles_found(symbol, lambda: candle_history(symbol, timeframe, count, to_ms)))
    from_ms = from_s * 1000
    candles = candles_found(symbol, lambda: candles_between(symbol, timeframe, from_ms, to_ms, MAX_BARS))
    if candles:
        return bars_table(candles)
    return no_bars(candles_found(symbol, lambda: candle_history(symbol, timeframe, 1, min(from_ms, to_ms))))


def bars_table(candles: Sequence[Candle]) -> dict[str, Any]:
    if not candles:
        return no_bars(())
    return {
        "s": "ok",
        "t": [candle.open_ms // 1000 for candle in candles],
        "o": [float(candle.open) for candle in candles],
        "h": [float(candle.high) for candle in candles],
        "l": [float(candle.low) for candle in candles],
        "c": [float(candle.close) for candle in candles],
        "v": [float(candle.volume) for candle in candles],
    }


def no_bars(earlier: Sequence[Candle]) -> dict[str, Any]:
    """``earlier``: the nearest candle before, if there is one."""
    next_time = {"nextTime": earlier[0].open_ms // 1000} if earlier else {}
    return {"s": "no_data", **next_time}
