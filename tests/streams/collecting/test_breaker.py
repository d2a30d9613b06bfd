"""The circuit breaker of a connection, told what happens and what time it is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams import backoff
from streams.backoff import Backoff
from streams.collecting.breaker import Breaker


def failed(breaker: Breaker, times: int, now: float) -> Breaker:
    for _ in range(times):
        breaker.failure(now)
    return breaker


def test_four_failures_leave_it_closed_and_the_fifth_opens_it_for_a_minute() -> None:
    breaker = failed(Breaker(), 4, now=0.0)
    assert (breaker.state(0.0), breaker.allows(0.0)) == ("closed", True)
    breaker.failure(10.0)
    assert (breaker.state(10.0), breaker.allows(10.0), breaker.wait_s(10.0)) == ("open", False, 60.0)
    assert (breaker.state(69.9), breaker.state(70.0)) == ("open", "half-open")


def test_a_good_message_between_failures_counts_them_anew() -> None:
    breaker = failed(Breaker(), 4, now=0.0)
    breaker.success()
    assert failed(breaker, 4, now=1.0).state(1.0) == "closed"


def test_it_stays_open_twice_as_long_after_each_further_failure_up_to_five_minutes() -> None:
    breaker, now, waits = failed(Breaker(), 5, now=0.0), 0.0, []
    for _ in range(5):
        waits.append(breaker.wait_s(now))
        now += breaker.wait_s(now)
        breaker.failure(now)
    assert waits == [60, 120, 240, 300, 300]


def test_half_open_it_lets_one_attempt_through_until_that_one_has_failed() -> None:
    breaker = failed(Breaker(), 5, now=0.0)
    assert [breaker.allows(60.0), breaker.allows(60.0), breaker.allows(61.0)] == [True, False, False]
    breaker.failure(62.0)
    assert [breaker.allows(62.0), breaker.allows(181.9), breaker.allows(182.0)] == [False, False, True]


def test_half_open_two_good_messages_close_it_and_one_does_not() -> None:
    breaker = failed(Breaker(), 5, now=0.0)
    assert breaker.allows(60.0)
    breaker.success()
    assert breaker.state(60.0) == "half-open"
    breaker.success()
    assert (breaker.state(60.0), breaker.allows(60.0)) == ("closed", True)
    # And it is as new: the next opening lasts a minute.
    assert failed(breaker, 5, now=100.0).wait_s(100.0) == 60.0


def test_it_can_be_closed_by_hand() -> None:
    breaker = failed(Breaker(), 9, now=0.0)
    breaker.reset()
    assert (breaker.state(0.0), breaker.allows(0.0), breaker.wait_s(0.0)) == ("closed", True, 0.0)


def test_haste_makes_it_open_for_a_shorter_time() -> None:
    assert failed(Breaker(haste=20), 5, now=0.0).wait_s(0.0) == 3.0


@given(st.lists(st.tuples(st.sampled_from(["good", "bad"]), st.floats(0, 400)), max_size=60))
def test_whatever_happens_an_attempt_is_let_through_within_five_minutes(events: list[tuple[str, float]]) -> None:
    breaker, now = Breaker(), 0.0
    for kind, pause_s in events:
        now += pause_s
        if breaker.allows(now):
            breaker.success() if kind == "good" else breaker.failure(now)
            # An attempt always has an outcome: a connection that brought something good ends one day, too.
            breaker.is_trying = False
        assert breaker.wait_s(now) <= 300
        assert breaker.allows(now + 300.001)
        breaker.is_trying = False


@pytest.mark.contract("D122")
def test_pauses_are_one_two_five_ten_and_thirty_seconds_give_or_take_a_fifth() -> None:
    pauses = Backoff()
    waited = [pauses.next_s() for _ in range(7)]
    for pause_s, meant_s in zip(waited, [1, 2, 5, 10, 30, 30, 30], strict=True):
        assert meant_s * (1 - backoff.JITTER) <= pause_s <= meant_s * (1 + backoff.JITTER)
