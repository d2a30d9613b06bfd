"""What a change outdates: the law, with the whole history as its judge; and Redis' script beside the same in Python."""

from collections.abc import Collection
from typing import Any

import msgspec
import pytest
from django.conf import settings
from django_redis import get_redis_connection
from hypothesis import given
from hypothesis import strategies as st

from cachemgmt.generations import MAX_MINUTES, Generation, decode, minutes_of
from cachemgmt.stores.redis import RedisStore
from cachemgmt.types import Key
from tests.backend import server_only

NOW = 28_401_120  # a minute of 2024

Minutes = Collection[int] | None
# Few minutes, so that they meet; now and then enough of them at once to make a generation forget.
MINUTES = st.one_of(
    st.none(),
    st.sets(st.integers(NOW, NOW + 5), min_size=1, max_size=3),
    st.sets(st.integers(NOW - 10, NOW + 2 * MAX_MINUTES), min_size=1, max_size=MAX_MINUTES + 2),
    st.builds(lambda first, count: set(range(first, first + count)), st.integers(NOW, NOW + 90), st.integers(1, 66)),
)
# A touch with its minutes, or the beginning of an answer over a window of minutes.
EVENTS = st.lists(
    st.one_of(
        st.tuples(st.just("touch"), MINUTES),
        st.tuples(st.just("begin"), st.tuples(st.integers(NOW - 5, NOW + 70), st.integers(0, 60))),
    ),
    max_size=30,
)


@given(EVENTS)
def test_no_answer_over_a_changed_minute_is_valid_and_few_others_are_outdated(events: list[tuple[str, Any]]) -> None:
    generation = Generation(floor=7, last=7)
    answers: list[tuple[int, int, int, int]] = []  # stamp, first and last minute, number of the event
    for number, (what, about) in enumerate(events):
        if what == "touch":
            generation.touch(about)
            continue
        first, length = about
        answers.append((generation.begin(), first, first + length, number))
    for stamp, first, last, number in answers:
        later: list[Minutes] = [about for what, about in events[number:] if what == "touch"]
        has_changed = any(minutes is None or any(first <= minute <= last for minute in minutes) for minutes in later)
        is_outdated = generation.is_outdated(stamp, first, last)
        assert is_outdated or not has_changed
        if not may_forget(later):
            assert is_outdated == has_changed


def may_forget(later: list[Minutes]) -> bool:
    """Whether a generation that has seen these changes since may have forgotten which minutes they were about."""
    changed = set().union(*(minutes or () for minutes in later))
    return len(changed) > MAX_MINUTES or any(minutes is None or len(minutes) > MAX_MINUTES for minutes in later)


def test_answers_older_than_what_is_remembered_are_outdated_and_newer_ones_are_not() -> None:
    generation = Generation(floor=0, last=0)
    old = generation.begin()
    for minute in range(MAX_MINUTES):
        generation.touch([minute])
    assert not generation.is_outdated(old, MAX_MINUTES, MAX_MINUTES)
    young = generation.begin()
    generation.touch([1000])
    assert len(generation.minutes) == MAX_MINUTES
    assert generation.is_outdated(old, MAX_MINUTES, MAX_MINUTES)
    assert not generation.is_outdated(young, 0, 999)
    assert generation.is_outdated(young, 999, 1000)


def test_space_is_constant() -> None:
    generation = Generation(floor=1_795_255_916_477_765, last=1_795_255_916_477_765)
    for minute in range(NOW, NOW + 10_000):
        generation.touch([minute, minute + 1])
    assert len(generation.minutes) <= MAX_MINUTES
    assert len(generation.encode()) < 1000


def test_a_copy_does_not_change_any_more() -> None:
    generation = Generation(floor=1, last=1)
    copy = generation.copy()
    generation.touch([1])
    assert (copy.last, copy.minutes) == (1, {})


@given(st.lists(st.integers(-120_000, 120_000), max_size=5))
def test_the_minutes_of_times_are_those_that_hold_them(times_ms: list[int]) -> None:
    minutes = minutes_of(times_ms)
    assert minutes is not None
    assert all(any(minute * 60_000 <= time < (minute + 1) * 60_000 for minute in minutes) for time in times_ms)
    assert len(minutes) <= len(times_ms)


def test_times_of_too_many_minutes_mean_all() -> None:
    assert minutes_of(range(0, MAX_MINUTES * 60_000, 60_000)) == set(range(MAX_MINUTES))
    assert minutes_of(range(0, (MAX_MINUTES + 1) * 60_000, 60_000)) is None


@server_only("Redis runs the script")
@given(EVENTS)
def test_inside_redis_a_generation_is_the_same(events: list[tuple[str, Any]]) -> None:
    store = RedisStore(get_redis_connection("default"), f"{settings.CACHE_KEY_PREFIX}:law")
    key = Key("law", "law:1", "symbol:law")
    store.client.unlink(store.generation_key(key.scope))
    begun = store.begin(key)
    here = Generation(begun.stamp - 1, begun.stamp)
    for what, about in events:
        if what == "touch":
            here.touch(about)
            store.touch({key.scope: about})
        else:
            assert store.begin(key).stamp == here.begin()
        there = store.read(key).generation
        assert there == here
        assert there == decode(here.encode())


@server_only("Redis runs the script")
def test_what_redis_writes_are_whole_numbers() -> None:
    store = RedisStore(get_redis_connection("default"), f"{settings.CACHE_KEY_PREFIX}:law")
    key = Key("law", "law:2", "symbol:whole")
    store.begin(key)
    store.touch({key.scope: {-1, NOW}})
    raw = msgspec.msgpack.decode(store.client.get(store.generation_key(key.scope)))
    assert {type(number) for number in raw} == {int}
    assert {-1, NOW} <= set(raw)


@pytest.mark.parametrize("minutes", [[], set()])
def test_a_change_of_no_minute_outdates_nothing(minutes: Collection[int]) -> None:
    generation = Generation(floor=1, last=1)
    stamp = generation.begin()
    generation.touch(minutes)
    assert not generation.is_outdated(stamp, 0, NOW)
