"""The thread that brings orders from the spool to the database, with the ledger of coverage and the status."""

import threading
import time
from collections.abc import Callable, Sequence

import structlog
from django.db import Error as DatabaseError
from django.db import close_old_connections, connection

from database.watchdog import watching
from streams.collecting.spool import Spool
from streams.instruments import instruments_refresh
from streams.outbox import orders_store
from streams.types import LiveOrder

logger = structlog.get_logger(__name__)

BATCH = 500
# Between two transactions: what arrives meanwhile shares the next one. An order waits no longer than that for others.
PAUSE_S = 0.04
BEAT_S = 1.0
LONGEST_S = 10.0  # that the database may take for a batch


class Writer:
    """``stored`` is given the number of the last stored order and what is new in the outbox; ``beat`` is called about
    once a second, and may write to the database. Both are called in the writer's thread.
    """

    def __init__(
        self,
        spool: Spool,
        stored: Callable[[int, Sequence[LiveOrder]], None],
        beat: Callable[[], None],
        retry_s: float,
    ) -> None:
        self.spool, self.stored, self.beat, self.retry_s = spool, stored, beat, retry_s
        self.wake, self.stopping = threading.Event(), threading.Event()
        self.is_away = False  # whether the last attempt to use the database has failed
        self.last_fault = ""
        self.stored_count = self.rejected = 0
        self.next_beat = 0.0
        self.thread = threading.Thread(target=self.run, name="collector-writer", daemon=True)

    def start(self) -> None:
        self.thread.start()

    def stop(self, seconds: float) -> bool:
        """Store what is there, once more; whether all of it was stored within the time."""
        self.stopping.set()
        self.wake.set()
        self.thread.join(seconds)
        return not self.thread.is_alive() and self.spool.pending == 0

    def run(self) -> None:
        while not self.stopping.is_set():
            self.wake.wait(max(0.0, self.next_beat - time.monotonic()))
            self.wake.clear()
            is_well = self.attempt()
            self.stopping.wait(PAUSE_S if is_well else self.retry_s)
        while self.spool.pending and self.attempt():
            pass
        self.next_beat = 0.0
        self.attempt()
        connection.close()

    def attempt(self) -> bool:
        """Store one batch, and beat when it is time; whether the database could be used."""
        close_old_connections()
        try:
            # A server that froze would keep the thread for ever.
            with watching(time.monotonic() + LONGEST_S):
                if self.spool.pending:
                    self.store_batch()
                if time.monotonic() >= self.next_beat:
                    self.next_beat = time.monotonic() + BEAT_S
                    self.spool.sync()
                    instruments_refresh()
                    self.beat()
        except Exception as error:
            self.failed(error)
            return False
        if self.last_fault:
            logger.info("the database can be used again", waiting=self.spool.pending)
        self.is_away, self.last_fault = False, ""
        if self.spool.pending:
            self.wake.set()
        return True

    def store_batch(self) -> None:
        orders = self.spool.read(BATCH)

        def reject(position: int, reason: str) -> None:
            self.rejected += 1
            logger.error("an order that the table cannot hold is left out", reason=reason, order=repr(orders[position]))

        live = orders_store(orders, reject)
        self.stored_count += len(orders)
        self.stored(self.spool.commit(), live)

    def failed(self, error: Exception) -> None:
        self.is_away = True
        fault = f"{type(error).__name__}: {error}"
        if fault != self.last_fault:
            # A driver's message says all there is to say about a server that is away.
            is_expected = isinstance(error, DatabaseError | OSError)
            logger.error(
                "the database cannot be used: orders wait in the spool", error=fault, waiting=self.spool.pending,
                exc_info=not is_expected,
            )  # fmt: skip
        self.last_fault = fault
        connection.close()
