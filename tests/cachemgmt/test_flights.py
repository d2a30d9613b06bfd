"""One flight per key and process; nobody waits for ever, and nobody ends with another thread."""

import threading

import pytest

from cachemgmt import flights as module
from cachemgmt.flights import Flights
from cachemgmt.types import Begun, Served
from tests.cachemgmt.kept import entry

SERVED = Served(entry(Begun(1, 1, 0, None)), "miss")


def test_the_first_flies_and_the_others_join() -> None:
    flights = Flights()
    flight, is_ours = flights.join("a")
    assert is_ours
    assert flights.join("a") == (flight, False)
    assert flights.join("b")[1]
    assert flights.is_flying("a")


def test_those_who_wait_get_what_was_made() -> None:
    flights = Flights()
    flight, _ = flights.join("a")
    found: list[Served | None] = []
    waiting = threading.Thread(target=lambda: found.append(flight.result()))
    waiting.start()
    assert flights.fly("a", flight, lambda: SERVED) is SERVED
    waiting.join()
    assert found == [SERVED]
    assert not flights.is_flying("a")
    assert flights.join("a")[1]


def test_those_who_wait_get_the_error() -> None:
    flights = Flights()
    flight, _ = flights.join("a")
    error = ValueError("no")

    def fail() -> Served:
        raise error

    for attempt in (lambda: flights.fly("a", flight, fail), flight.result):
        with pytest.raises(ValueError, match="no"):
            attempt()
    assert not flights.is_flying("a")


@pytest.mark.parametrize("end", [SystemExit, KeyboardInterrupt, GeneratorExit])
def test_what_ends_the_flying_thread_ends_no_other(end: type[BaseException]) -> None:
    flights = Flights()
    flight, _ = flights.join("a")

    def die() -> Served:
        raise end

    with pytest.raises(end):
        flights.fly("a", flight, die)
    assert flight.result() is None
    assert flights.join("a")[1]


def test_waiting_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PATIENCE_S", 0.05)
    flights = Flights()
    flight, _ = flights.join("a")
    assert flight.result() is None


def test_an_older_flight_does_not_end_a_newer_one() -> None:
    flights = Flights()
    old, _ = flights.join("a")
    flights.forget_all()
    new, is_ours = flights.join("a")
    assert is_ours
    flights.fly("a", old, lambda: SERVED)
    assert flights.join("a") == (new, False)
