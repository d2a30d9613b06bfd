"""One flight per key and process: of several callers that need the same answer one makes it, the others wait."""

import threading
from collections.abc import Callable

from cachemgmt.types import Served


class Flight:
    """One answer being made. ``result`` gives it to those who wait, or raises what its making raised."""

    def __init__(self) -> None:
        self.landed = threading.Event()
        self.served: Served | None = None
        self.error: BaseException | None = None

    def result(self) -> Served:
        self.landed.wait()
        if self.served is None:
            assert self.error is not None
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
        except BaseException as error:
            flight.error = error
            raise
        finally:
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
