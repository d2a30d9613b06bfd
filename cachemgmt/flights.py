"""One flight per key and process: of several callers that need the same answer one makes it, the others wait."""

import threading
from collections.abc import Callable

from cachemgmt.types import Served

# A flight that takes longer loses nothing but its exclusiveness: of those who wait for it one makes the answer, too.
PATIENCE_S = 10.0


class Flight:
    """One answer being made."""

    def __init__(self) -> None:
        self.landed = threading.Event()
        self.served: Served | None = None
        self.error: Exception | None = None

    def result(self) -> Served | None:
        """What was made, or raises what its making raised. None: it takes long, or its thread has ended."""
        self.landed.wait(PATIENCE_S)
        if self.error is not None:
            raise self.error
        return self.served


class Flights:
    """The answers that this process is making now, by key."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.flying: dict[str, Flight] = {}

    def join(self, text: str) -> tuple[Flight, bool]:
        """The flight of this key, and whether the caller is the one to fly it, which must then call `fly`."""
        with self.lock:
            flight = self.flying.get(text)
            if flight is not None:
                return flight, False
            flight = self.flying[text] = Flight()
            return flight, True

    def is_flying(self, text: str) -> bool:
        return text in self.flying

    def fly(self, text: str, flight: Flight, make: Callable[[], Served]) -> Served:
        """Make the answer and let everybody have it; raises what ``make`` raises."""
        try:
            flight.served = make()
            return flight.served
        except Exception as error:
            flight.error = error
            raise
        finally:
            # What ends this thread alone (SystemExit, KeyboardInterrupt) must not end those who wait.
            self.forget(text, flight)
            flight.landed.set()

    def forget(self, text: str, flight: Flight) -> None:
        """Nobody joins this one any more."""
        with self.lock:
            if self.flying.get(text) is flight:
                del self.flying[text]

    def forget_all(self) -> None:
        """Whoever comes from now on is to see what operators have just removed made anew."""
        with self.lock:
            self.flying.clear()
