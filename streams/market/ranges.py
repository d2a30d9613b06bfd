"""Which candles a client looks at, so that its liquidation volume covers the same time.

The terminal opens the two as sockets of their own: candles say here what they show, and volume looks which candles of
the same symbol and timeframe the same client is shown. Within one web process: elsewhere volume has its usual range.
"""

import asyncio
from contextlib import suppress
from typing import NamedTuple

MIN_CANDLES, MAX_CANDLES = 200, 1000
PIXELS_PER_CANDLE = 6
SCREENS = 3  # that can be scrolled through before more is asked for
DEFAULT_WIDTH = 800
WAIT_S = 0.5  # for the candles' socket, which is opened in the same moment


def candle_count(width: float) -> int:
    """How many candles a chart of this width in pixels is given: half the width, 200 to 1000."""
    return int(min(max(width / PIXELS_PER_CANDLE * SCREENS, MIN_CANDLES), MAX_CANDLES))


class ChartRange(NamedTuple):
    """Candles from ``start_ms`` to now, on a socket of ``client`` (`Caller.bucket`)."""

    client: str
    symbol: str
    timeframe: str
    start_ms: int


class Ranges:
    """Of one process; used in its event loop alone."""

    def __init__(self) -> None:
        self.shown: list[ChartRange] = []
        self.noted = asyncio.Event()

    def note(self, shown: ChartRange) -> None:
        """`forget` it when it is not shown any more."""
        self.shown.append(shown)
        noted, self.noted = self.noted, asyncio.Event()
        noted.set()

    def forget(self, shown: ChartRange) -> None:
        self.shown.remove(shown)

    async def start_ms(self, client: str, symbol: str, timeframe: str) -> int | None:
        """Where the candles begin that were opened last; None when there are none within a moment."""
        with suppress(TimeoutError):
            async with asyncio.timeout(WAIT_S):
                while (start_ms := self.newest(client, symbol, timeframe)) is None:
                    await self.noted.wait()
                return start_ms
        return None

    def newest(self, client: str, symbol: str, timeframe: str) -> int | None:
        wanted = client, symbol, timeframe
        return next((each.start_ms for each in reversed(self.shown) if each[:3] == wanted), None)
