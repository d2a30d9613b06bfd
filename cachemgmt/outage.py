"""Whose turn it is to find out whether a database that has failed is back. No Django."""

import threading
import time

# After the database has failed, last good answers are served for so long before one caller tries again.
RETRY_DATABASE_S = 1.0
# That caller may have gone elsewhere, or hang: then it is another one's turn.
TURN_S = 10.0


class Outage:
    """While the database fails, one caller at a time asks it; whoever can do without, does not."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.next_turn: float | None = None

    def is_my_turn(self) -> bool:
        """Whether the caller may ask the database: always while it answers, once in a while when it has failed."""
        if self.next_turn is None:
            return True
        with self.lock:
            if self.next_turn is None or time.monotonic() < self.next_turn:
                return self.next_turn is None
            self.next_turn = time.monotonic() + TURN_S
            return True

    def begins(self) -> None:
        """The database has failed, also if it had before."""
        with self.lock:
            self.next_turn = time.monotonic() + RETRY_DATABASE_S

    def ends(self) -> None:
        """The database has answered."""
        if self.next_turn is not None:
            with self.lock:
                self.next_turn = None
