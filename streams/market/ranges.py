"""Which candles a client looks at, so that its liquidation volume covers the same time.

The terminal opens the two as sockets of their own: candles say here what they show, and volume looks which candles of
the same symbol and timeframe the same client is shown. Within one web process: elsewhere volume has its usual range.
"""

import asyncio
from contextlib import suppress

MIN_CANDLES, MAX_CANDLES = 200, 1000
PIXELS_PER_CANDLE = 6
SCREENS = 3  # that can be scrolled through before more is asked for
DEFAULT_WIDTH = 800
WAIT_S = 0.5  # for the candles' socket, which is opened in the same moment
HISTORY_S = 10.0  # for its history


def candle_count(width: float) -> int:
    """How many candles a chart of this width in pixels is given: half the width, 200 to 1000."""
    return int(min(max(width / PIXELS_PER_CANDLE * SCREENS, MIN_CANDLES), MAX_CANDLES))


class ChartRange:
    """Candles from ``start_ms`` to now, on a socket of ``client`` (`Caller.bucket`).

    Until it is settled these are as many as the chart has room for.
    """

    def __init__(self, client: str, symbol: str, timeframe: str, start_ms: int) -> None:
        self.of = client, symbol, timeframe
        self.start_ms = start_ms
        self.is_settled = asyncio.Event()

    def settle(self, start_ms: int | None) -> None:
        """Its history has been sent, and begins here; None: there is none."""
        if start_ms is not None:
            self.start_ms = start_ms
        self.is_settled.set()


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
        shown.is_settled.set()

    async def start_ms(self, client: str, symbol: str, timeframe: str) -> int | None:
        """Where the candles begin that were opened last; None when there are none within a moment."""
        shown = await self.newest_soon(client, symbol, timeframe)
        if shown is None:
            return None
        with suppress(TimeoutError):
            async with asyncio.timeout(HISTORY_S):
                await shown.is_settled.wait()
        return shown.start_ms

    async def newest_soon(self, *of: str) -> ChartRange | None:
        with suppress(TimeoutError):
            async with asyncio.timeout(WAIT_S):
                while (shown := self.newest(*of)) is None:
                    await self.noted.wait()
                return shown
        return None

    def newest(self, *of: str) -> ChartRange | None:
        return next((each for each in reversed(self.shown) if each.of == of), None)
