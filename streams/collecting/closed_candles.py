"""Closed candles on their way from the event loop to the database; used by the loop and the writer's thread."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from threading import Lock

import structlog
from django.db import DataError, InterfaceError, OperationalError

from marketdata.types import Candle
from marketdata.venues.binance import VENUE

logger = structlog.get_logger(__name__)

WAITING_AT_MOST = 10_000  # while the database is away; what is dropped, repair finds and fills
BATCH = 1000

Key = tuple[str, str, int]


class ClosedCandles:
    """``upsert`` brings candles to the database, ``mark`` notes minutes of a symbol that are to be repaired there.

    A candle that comes again replaces what waits of it.
    """

    def __init__(
        self, upsert: Callable[[Sequence[Candle]], object], mark: Callable[[str, str, Iterable[int]], None]
    ) -> None:
        self.upsert, self.mark = upsert, mark
        self.lock = Lock()
        self.to_repair: dict[str, set[int]] = defaultdict(set)  # by symbol
        self.waiting: dict[Key, Candle] = {}  # the oldest first
        self.written = self.dropped = 0

    def put(self, candles: Sequence[Candle]) -> None:
        with self.lock:
            for candle in candles:
                self.waiting.pop(key_of(candle), None)
                self.waiting[key_of(candle)] = candle
            while len(self.waiting) > WAITING_AT_MOST:
                del self.waiting[next(iter(self.waiting))]
                self.dropped += 1

    def have_repaired(self, symbol: str, minutes: Iterable[int]) -> None:
        """Leave these to `marketdata.repair_candles`."""
        with self.lock:
            self.to_repair[symbol].update(sorted(minutes)[-WAITING_AT_MOST:])

    def write(self) -> None:
        """A batch at most, in the writer's thread. Raises what the database raises when it is away; nothing is lost."""
        self.write_marks()
        batch = self.batch()
        if not batch:
            return
        try:
            self.upsert(list(batch.values()))
        except (OperationalError, InterfaceError):
            raise
        except DataError:
            self.write_each(batch)
        except Exception as error:
            # They would be refused for ever, and keep all others waiting.
            logger.error("candles that cannot be stored are left out", candles=len(batch), exc_info=error)
        else:
            self.written += len(batch)
        self.forget(batch)

    def write_each(self, batch: dict[Key, Candle]) -> None:
        """Without those that the table cannot hold."""
        for candle in batch.values():
            try:
                self.upsert([candle])
            except DataError as error:
                logger.error("a candle that the table cannot hold is left out", candle=repr(candle), exc_info=error)
            else:
                self.written += 1

    def write_marks(self) -> None:
        with self.lock:
            marks = {symbol: set(minutes) for symbol, minutes in self.to_repair.items()}
        for symbol, minutes in marks.items():
            self.mark(VENUE, symbol, minutes)
            with self.lock:
                self.to_repair[symbol] -= minutes
                if not self.to_repair[symbol]:
                    del self.to_repair[symbol]

    def batch(self) -> dict[Key, Candle]:
        with self.lock:
            return dict(islice(self.waiting.items(), BATCH))

    def forget(self, batch: dict[Key, Candle]) -> None:
        with self.lock:
            for key, candle in batch.items():
                # A later word on it, meanwhile, is not written yet.
                if self.waiting.get(key) is candle:
                    del self.waiting[key]


def key_of(candle: Candle) -> Key:
    return candle.symbol, candle.timeframe, candle.open_ms
