"""What is missing in a run of candles. Pure.

A gap is a range of ms: it begins when the first missing candle opens and ends when the next one that is there does, or
the window. Its length in candles is `candle_count`'s to tell.
"""

from collections.abc import Iterable, Iterator

from marketdata.timeframes import FIXED_MS, candle_close_ms, candle_open_ms, candle_shifted_ms, moment


def first_open_ms(timeframe: str, time_ms: int) -> int:
    """When the first candle opens that opens no earlier than ``time_ms``."""
    open_ms = candle_open_ms(timeframe, time_ms)
    return open_ms if open_ms == time_ms else candle_close_ms(timeframe, open_ms)


def candle_count(timeframe: str, start_ms: int, end_ms: int) -> int:
    """How many candles open in [start_ms, end_ms)."""
    start_ms, end_ms = first_open_ms(timeframe, start_ms), first_open_ms(timeframe, end_ms)
    if timeframe in FIXED_MS:
        return max((end_ms - start_ms) // FIXED_MS[timeframe], 0)
    start, end = moment(start_ms), moment(end_ms)
    return max((end.year - start.year) * 12 + end.month - start.month, 0)


def gaps_find(timeframe: str, start_ms: int, end_ms: int, opens: Iterable[int]) -> list[range]:
    """The gaps in [start_ms, end_ms) between candles that open at ``opens``, which rise."""
    found, next_ms = [], first_open_ms(timeframe, start_ms)
    end_ms = first_open_ms(timeframe, end_ms)
    for open_ms in (*opens, end_ms):
        if next_ms < open_ms <= end_ms:
            found.append(range(next_ms, open_ms))
        if open_ms >= next_ms:
            next_ms = candle_close_ms(timeframe, open_ms)
    return found


def gaps_joined(timeframe: str, gaps: Iterable[range], most: int) -> list[range]:
    """Gaps that lie within ``most`` candles together are one: one request gets them all."""
    joined: list[range] = []
    for gap in gaps:
        if joined and candle_count(timeframe, joined[-1].start, gap.stop) <= most:
            joined[-1] = range(joined[-1].start, gap.stop)
        else:
            joined.append(gap)
    return joined


def windows_of(timeframe: str, start_ms: int, end_ms: int, count: int) -> Iterator[range]:
    """[start_ms, end_ms) in parts of ``count`` candles."""
    start_ms = first_open_ms(timeframe, start_ms)
    while start_ms < end_ms:
        stop_ms = min(candle_shifted_ms(timeframe, start_ms, count), end_ms)
        yield range(start_ms, stop_ms)
        start_ms = stop_ms
