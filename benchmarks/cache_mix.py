"""What clients of a market's charts ask for, made up from a seed: popular symbols, a few timeframes, moving windows."""

from urllib.parse import urlencode

import numpy as np
from numpy.random import Generator

from benchmarks.market import DAY_MS, HOUR_MS, market_make
from benchmarks.wrk import DIGITS

SYMBOLS = 300
# Share of the requests, by what they are.
KINDS = {"candles": 0.46, "latest": 0.28, "symbols": 0.08, "history": 0.10, "page": 0.05, "own window": 0.03}
# Timeframe, its length, and how many charts show it.
TIMEFRAMES = (
    ("5m", HOUR_MS // 12, 0.30),
    ("15m", HOUR_MS // 4, 0.20),
    ("1h", HOUR_MS, 0.30),
    ("4h", 4 * HOUR_MS, 0.12),
    ("1d", DAY_MS, 0.08),
)
CANDLES = 300  # of a chart
LIMITS, LIMIT_SHARES = (50, 100), (0.7, 0.3)


def requests_mixed(count: int, now_ms: int, seed: int = 11) -> list[str]:
    """``count`` paths, the same for the same seed and time; those that nobody else asks for hold `wrk.DIGITS`."""
    random = np.random.default_rng(seed)
    market = market_make(random, SYMBOLS)
    kinds = random.choice(list(KINDS), count, p=list(KINDS.values()))
    symbols = random.choice(market.symbols, count, p=market.shares)
    return [request(random, str(kind), str(symbol), now_ms) for kind, symbol in zip(kinds, symbols, strict=True)]


def request(random: Generator, kind: str, symbol: str, now_ms: int) -> str:
    timeframe, length_ms, _ = TIMEFRAMES[random.choice(len(TIMEFRAMES), p=[share for *_, share in TIMEFRAMES])]
    candle_ms = now_ms // length_ms * length_ms
    if kind == "symbols":
        return "/api/symbols"
    if kind == "latest":
        return (
            f"/api/liquidation-orders?{urlencode({'symbol': symbol, 'limit': random.choice(LIMITS, p=LIMIT_SHARES)})}"
        )
    if kind == "history":
        # A month of the last year, as reports ask for it.
        month_ms = now_ms // DAY_MS * DAY_MS - 30 * DAY_MS * int(random.integers(1, 12))
        return buckets(symbol, "1h", month_ms, month_ms + 30 * DAY_MS - 1)
    if kind == "page":
        day_ms = now_ms // DAY_MS * DAY_MS - DAY_MS * int(random.geometric(0.4))
        window = {"start_timestamp": day_ms, "end_timestamp": day_ms + DAY_MS - 1, "page": random.integers(1, 4)}
        return f"/api/liquidation-orders?{urlencode({'symbol': symbol, **window})}"
    if kind == "own window":
        # To the millisecond: nobody else asks for this one, and nobody asks twice.
        start_ms = now_ms - CANDLES * length_ms - int(random.integers(HOUR_MS, 30 * DAY_MS))
        end_ms = start_ms + int(random.integers(10**6 + length_ms, 10**6 + CANDLES * length_ms))
        return buckets(symbol, timeframe, f"{start_ms // 10**6}{DIGITS}", end_ms)
    return buckets(symbol, timeframe, candle_ms - CANDLES * length_ms, candle_ms)


def buckets(symbol: str, timeframe: str, start_ms: int | str, end_ms: int) -> str:
    window = {"start_timestamp": start_ms, "end_timestamp": end_ms}
    return f"/api/liquidations?{urlencode({'symbol': symbol, 'timeframe': timeframe, **window}, safe=DIGITS)}"
