"""The token bucket beside a plain one, whose numbers are fractions."""

from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from accounts.limits.bucket import MICROSECONDS, PARTS, Rate, Verdict, refilled, spend

MINUTE_US = 60 * MICROSECONDS

rates = st.builds(Rate, per_minute=st.integers(1, 1_000_000), burst=st.integers(1, 1_000_000))
pauses = st.lists(st.one_of(st.integers(0, 100), st.integers(0, 2 * MINUTE_US)), min_size=1, max_size=60)


@given(rate=rates, pauses=pauses)
def test_it_lets_pass_exactly_what_a_plain_bucket_does(rate: Rate, pauses: list[int]) -> None:
    tokens, left = Fraction(rate.burst), rate.full
    for pause_us in pauses:
        tokens = min(Fraction(rate.burst), tokens + Fraction(pause_us * rate.per_minute, MINUTE_US))
        verdict = spend(rate, refilled(rate, left, pause_us))
        assert verdict.is_allowed == (tokens >= 1)
        tokens -= verdict.is_allowed
        left = verdict.left
        assert Fraction(left, PARTS) == tokens
        assert verdict.remaining == int(tokens)


@given(rate=rates, pauses=pauses)
def test_never_more_than_the_burst_and_what_the_time_has_brought_pass(rate: Rate, pauses: list[int]) -> None:
    left, passed, elapsed_us = rate.full, 0, 0
    for pause_us in pauses:
        elapsed_us += pause_us
        verdict = spend(rate, refilled(rate, left, pause_us))
        left, passed = verdict.left, passed + verdict.is_allowed
        assert passed <= rate.burst + Fraction(elapsed_us * rate.per_minute, MINUTE_US)


@given(rate=rates, data=st.data())
def test_who_waits_as_long_as_told_may_pass_and_a_second_less_is_at_most_a_second_too_short(
    rate: Rate, data: st.DataObject
) -> None:
    refused = Verdict(rate, False, data.draw(st.integers(0, PARTS - 1)))
    assert spend(rate, refilled(rate, refused.left, refused.retry_after_s * MICROSECONDS)).is_allowed
    # int(needed / rate) + 1, as the contract has it.
    needed = 1 - Fraction(refused.left, PARTS)
    assert refused.retry_after_s == int(needed / Fraction(rate.per_minute, 60)) + 1


@given(rate=rates, data=st.data())
def test_a_bucket_is_full_when_it_says_so_and_not_a_second_earlier(rate: Rate, data: st.DataObject) -> None:
    verdict = Verdict(rate, True, data.draw(st.integers(0, rate.full)))
    assert refilled(rate, verdict.left, verdict.reset_s * MICROSECONDS) == rate.full
    if verdict.reset_s > 0:
        assert refilled(rate, verdict.left, (verdict.reset_s - 1) * MICROSECONDS) < rate.full


def test_a_clock_that_was_put_back_brings_nothing_and_takes_nothing() -> None:
    assert refilled(Rate(60, 10), PARTS, -MINUTE_US) == PARTS


def test_all_numbers_stay_where_those_of_redis_are_exact() -> None:
    largest = Rate(1_000_000, 1_000_000)
    fill_us = largest.full // largest.per_minute
    # What is kept is forgotten when it is full; a second late, at the latest.
    assert largest.full + (fill_us + MICROSECONDS) * largest.per_minute < 2**53
