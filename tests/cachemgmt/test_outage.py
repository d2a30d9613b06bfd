"""While the database fails, one caller at a time asks it."""

import pytest

from cachemgmt import outage as module
from cachemgmt.outage import RETRY_DATABASE_S, TURN_S, Outage


class Clock:
    now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(module, "time", clock)
    return clock


@pytest.fixture
def outage(clock: Clock) -> Outage:
    return Outage()


def test_while_the_database_answers_it_is_everybodys_turn(outage: Outage) -> None:
    assert all(outage.is_my_turn() for _ in range(3))


def test_after_a_failure_it_is_left_alone_and_then_one_caller_asks(outage: Outage, clock: Clock) -> None:
    outage.begins()
    assert not outage.is_my_turn()
    clock.now += RETRY_DATABASE_S
    assert [outage.is_my_turn() for _ in range(3)] == [True, False, False]
    outage.begins()
    assert not outage.is_my_turn()


def test_a_caller_that_does_not_come_back_loses_its_turn(outage: Outage, clock: Clock) -> None:
    outage.begins()
    clock.now += RETRY_DATABASE_S
    assert outage.is_my_turn()
    clock.now += TURN_S
    assert [outage.is_my_turn() for _ in range(2)] == [True, False]


def test_it_ends_with_the_first_answer(outage: Outage) -> None:
    outage.begins()
    outage.ends()
    assert all(outage.is_my_turn() for _ in range(3))
