"""Asks the venue over HTTP while the event loop goes on, a few requests at a time."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from marketdata.errors import LiquiError, UnknownSymbol, VenueRateLimited
from marketdata.venue import Venue, collectors_venue

AT_ONCE = 4
UNKNOWN_S = 60.0  # before a symbol that the venue does not know is asked for again
PAUSES_S = (0.5, 1.0, 2.0, 3.0)  # before a further attempt, also where the last one has changed nothing

T = TypeVar("T")


class Asker:
    def __init__(self, haste: float) -> None:
        self.haste = haste
        self.pool = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="collector-rest")

    async def ask(self, question: Callable[[Venue], T]) -> T:
        """Raises `LiquiError`. Whoever is cancelled does not wait for the answer any more."""
        return await asyncio.get_running_loop().run_in_executor(self.pool, lambda: question(collectors_venue()))

    def pause_s(self, attempts: int, fault: LiquiError | None = None) -> float:
        """How long to wait after so many attempts, 1 at least; as long as the venue says, where it says so."""
        if isinstance(fault, VenueRateLimited):
            # It says itself when to come again.
            return max(PAUSES_S[0] / self.haste, fault.retry_after_s)
        if isinstance(fault, UnknownSymbol):
            return UNKNOWN_S / self.haste
        return PAUSES_S[min(attempts, len(PAUSES_S)) - 1] / self.haste

    def close(self) -> None:
        self.pool.shutdown(wait=False, cancel_futures=True)
