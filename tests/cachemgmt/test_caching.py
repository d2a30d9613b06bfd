"""Fetching: one caller makes an answer, everybody gets a right one, and trouble with the database is hardly noticed."""

import gzip
import itertools
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import pytest
from django.db import OperationalError, ProgrammingError, connection, transaction

from cachemgmt import caching, flights, outage
from cachemgmt.caching import changed, fetch
from cachemgmt.flights import Flight
from cachemgmt.stores import memory, redis, store
from cachemgmt.types import ALWAYS, Key, Made, Served
from database.errors import QueryTimeout
from tests.cachemgmt.kept import MINUTE, entry, is_valid
from tests.cachemgmt.kept import key as key_named
from tests.live import wait_until

pytestmark = pytest.mark.django_db(transaction=True)

CALLERS = 20
BOUND_S = 20  # for what takes milliseconds, on a machine that is busy
GONE = OperationalError(2003, "Can't connect to server on 'db'")


class Maker:
    """Makes the bodies "1", "2", …; held back until told, or failing, on request."""

    def __init__(self, ttl_s: float = 60, status: int = 200) -> None:
        self.ttl_s, self.status = ttl_s, status
        self.calls = itertools.count(1)
        self.made = 0
        self.error: BaseException | None = None
        self.begun, self.may_go_on = threading.Event(), threading.Event()
        self.may_go_on.set()

    def __call__(self) -> Made:
        self.made = number = next(self.calls)
        self.begun.set()
        assert self.may_go_on.wait(BOUND_S)
        if self.error:
            raise self.error
        return Made(self.status, "application/json", b"%d" % number, self.ttl_s)


@pytest.fixture
def key() -> Key:
    """One that no other test has used: what is kept in Redis may stand in as the last good answer."""
    return key_named(secrets.token_hex(4))


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(CALLERS) as pool:
        yield pool
        pool.map(lambda _: (time.sleep(0.01), connection.close()), range(CALLERS))


@pytest.fixture
def waiting(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], object]:
    """Waits until so many callers wait for a flight."""
    waiters = itertools.count(1)
    seen = [0]
    result = Flight.result

    def counted(flight: Flight) -> Served | None:
        seen[0] = next(waiters)
        return result(flight)

    monkeypatch.setattr(Flight, "result", counted)
    return lambda count: wait_until(lambda: seen[0] >= count, BOUND_S, f"{count} callers wait")


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Moves the clock on which answers expire, not that of the store."""
    shift_ms = [0]
    monkeypatch.setattr(caching, "now_ms", lambda: time.time_ns() // 1_000_000 + shift_ms[0])

    def move(seconds: float) -> None:
        shift_ms[0] += int(seconds * 1000)

    return move


def body(served: Served) -> bytes:
    return served.entry.body


def test_an_answer_is_made_once_and_kept(key: Key) -> None:
    make = Maker()
    first, second = fetch(key, make), fetch(key, make)
    assert (first.state, second.state) == ("miss", "hit")
    assert body(first) == body(second) == b"1"
    assert first.entry == second.entry


def test_of_many_callers_one_makes_the_answer(
    key: Key, threads: ThreadPoolExecutor, waiting: Callable[[int], object]
) -> None:
    make = Maker()
    make.may_go_on.clear()
    callers = [threads.submit(fetch, key, make) for _ in range(CALLERS)]
    waiting(CALLERS - 1)
    make.may_go_on.set()
    served = [caller.result(BOUND_S) for caller in callers]
    assert make.made == 1
    assert {body(each) for each in served} == {b"1"}
    assert sorted(each.state for each in served) == ["hit"] * (CALLERS - 1) + ["miss"]
    assert sum(each.is_coalesced for each in served) == CALLERS - 1


def test_those_who_wait_are_told_the_same_error_and_the_next_caller_tries_again(
    key: Key, threads: ThreadPoolExecutor, waiting: Callable[[int], object]
) -> None:
    make = Maker()
    make.error = ValueError("no")
    make.may_go_on.clear()
    callers = [threads.submit(fetch, key, make) for _ in range(CALLERS)]
    waiting(CALLERS - 1)
    make.may_go_on.set()
    assert [caller.exception(BOUND_S) for caller in callers] == [make.error] * CALLERS
    make.error = None
    assert body(fetch(key, make)) == b"2"


def test_what_ends_the_making_thread_ends_no_other(
    key: Key, threads: ThreadPoolExecutor, waiting: Callable[[int], object]
) -> None:
    make = Maker()
    make.error = SystemExit()
    make.may_go_on.clear()

    def die() -> None:
        with suppress(SystemExit):
            fetch(key, make)

    dying = threads.submit(die)
    assert make.begun.wait(BOUND_S)
    callers = [threads.submit(fetch, key, Maker()) for _ in range(5)]
    waiting(5)
    make.may_go_on.set()
    assert {body(caller.result(BOUND_S)) for caller in callers} == {b"1"}
    dying.result(BOUND_S)


def test_a_maker_that_takes_long_loses_its_exclusiveness_only(
    key: Key, threads: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flights, "PATIENCE_S", 0.1)
    monkeypatch.setattr(caching, "LEASE_S", 0.1)
    slow = Maker()
    slow.may_go_on.clear()
    first = threads.submit(fetch, key, slow)
    assert slow.begun.wait(BOUND_S)
    served = fetch(key, Maker())
    assert (body(served), served.state) == (b"1", "miss")
    slow.may_go_on.set()
    assert first.result(BOUND_S).state == "miss"


def test_an_expired_answer_is_served_at_once_while_one_caller_makes_it_anew(
    key: Key, threads: ThreadPoolExecutor, later: Callable[[float], None]
) -> None:
    make = Maker(ttl_s=60)
    fetch(key, make)
    later(61)
    make.begun.clear()
    make.may_go_on.clear()
    refreshing = threads.submit(fetch, key, make)
    assert make.begun.wait(BOUND_S)
    for _ in range(3):
        served = fetch(key, make)
        assert (served.state, body(served), served.has_failed) == ("stale", b"1", False)
    make.may_go_on.set()
    assert body(refreshing.result(BOUND_S)) == b"2"
    assert (fetch(key, make).state, make.made) == ("hit", 2)


def test_an_answer_that_expired_long_ago_is_waited_for(
    key: Key, threads: ThreadPoolExecutor, later: Callable[[float], None], waiting: Callable[[int], object]
) -> None:
    make = Maker(ttl_s=60)
    fetch(key, make)
    later(121)
    make.may_go_on.clear()
    callers = [threads.submit(fetch, key, make) for _ in range(2)]
    waiting(1)
    make.may_go_on.set()
    assert {body(caller.result(BOUND_S)) for caller in callers} == {b"2"}


def test_who_comes_after_a_change_gets_an_answer_that_was_begun_after_it(
    key: Key, threads: ThreadPoolExecutor, waiting: Callable[[int], object]
) -> None:
    make = Maker()
    make.may_go_on.clear()
    early = threads.submit(fetch, key, make)
    assert make.begun.wait(BOUND_S)
    store().touch({key.scope: {MINUTE}})
    late = [threads.submit(fetch, key, make) for _ in range(3)]
    waiting(3)
    make.may_go_on.set()
    assert body(early.result(BOUND_S)) == b"1"
    assert {body(caller.result(BOUND_S)) for caller in late} == {b"2"}
    assert (body(fetch(key, make)), make.made) == (b"2", 2)


def test_nobody_waits_for_more_than_two_flights_however_fast_the_data_change(
    key: Key, threads: ThreadPoolExecutor
) -> None:
    def changing() -> Made:
        made = Maker()()
        store().touch({key.scope: None})
        time.sleep(0.02)
        return made

    callers = [threads.submit(fetch, key, changing) for _ in range(CALLERS)]
    assert {body(caller.result(BOUND_S)) for caller in callers} == {b"1"}


def test_an_answer_that_was_outdated_while_it_was_made_is_not_served_again(key: Key) -> None:
    make = Maker()

    def outdated() -> Made:
        made = make()
        store().touch({key.scope: {MINUTE + 59}})
        return made

    assert body(fetch(key, outdated)) == b"1"
    assert not is_valid(store(), key)
    assert body(fetch(key, make)) == b"2"


def test_an_answer_that_another_process_is_making_is_waited_for(key: Key, threads: ThreadPoolExecutor) -> None:
    begun = store().begin(key)
    make = Maker()
    caller = threads.submit(fetch, key, make)
    time.sleep(0.1)
    assert not caller.done()
    store().save(key, entry(begun, b"theirs"), 60, begun)
    served = caller.result(BOUND_S)
    assert (body(served), served.state, served.is_coalesced, make.made) == (b"theirs", "hit", True, 0)


def test_what_another_process_has_kept_since_we_looked_is_not_made_again(
    key: Key, monkeypatch: pytest.MonkeyPatch
) -> None:
    join = caching.flights.join

    def join_late(text: str) -> Any:
        begun = store().begin(key)
        store().save(key, entry(begun, b"theirs"), 60, begun)
        return join(text)

    monkeypatch.setattr(caching.flights, "join", join_late)
    make = Maker()
    assert (body(fetch(key, make)), make.made) == (b"theirs", 0)
    assert store().begin(key).lease is not None


def test_an_expired_answer_is_served_while_another_process_makes_it_anew(
    key: Key, later: Callable[[float], None]
) -> None:
    make = Maker(ttl_s=60)
    fetch(key, make)
    later(61)
    begun = store().begin(key)
    served = fetch(key, make)
    assert (served.state, body(served), make.made) == ("stale", b"1", 1)
    store().release(key, begun)
    assert fetch(key, make).state == "miss"


def test_when_another_process_has_died_its_lease_runs_out(key: Key, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (memory, redis):
        monkeypatch.setattr(module, "LEASE_S", 0.3)
    assert store().begin(key).lease is not None
    assert body(fetch(key, Maker())) == b"1"


def test_a_lease_that_does_not_end_is_not_waited_for_for_ever(key: Key, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(caching, "LEASE_S", 0.2)
    assert store().begin(key).lease is not None
    assert body(fetch(key, Maker())) == b"1"
    assert fetch(key, Maker()).state == "hit"


@pytest.mark.parametrize("error", [GONE, QueryTimeout(30), ProgrammingError(1146, "no such table")])
def test_while_the_database_fails_the_last_good_answer_is_served(
    key: Key, later: Callable[[float], None], error: Exception
) -> None:
    make = Maker(ttl_s=60)
    fetch(key, make)
    store().touch({key.scope: None})
    later(3600)
    make.error = error
    served = fetch(key, make)
    assert (served.state, served.has_failed, body(served)) == ("stale", True, b"1")
    later(61)
    caching.outage.ends()
    with pytest.raises(type(error)):
        fetch(key, make)


def test_without_a_last_good_answer_the_failure_is_told(key: Key) -> None:
    make = Maker()
    make.error = GONE
    with pytest.raises(OperationalError):
        fetch(key, make)
    assert store().begin(key).lease is not None


def test_other_errors_are_told_though_there_is_a_last_good_answer(key: Key) -> None:
    make = Maker()
    fetch(key, make)
    store().touch({key.scope: None})
    make.error = ValueError("a fault of ours")
    with pytest.raises(ValueError, match="a fault of ours"):
        fetch(key, make)


def test_a_database_that_fails_is_left_alone_for_a_while_and_asked_again(
    key: Key, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outage, "RETRY_DATABASE_S", 60)
    make, other = Maker(), key_named(f"{key.text}:other")
    fetch(key, make)
    fetch(other, make)
    store().touch({key.scope: None})
    make.error = GONE
    assert {fetch(asked, make).state for asked in (key, other, key, other)} == {"stale"}
    assert make.made == 3
    caching.outage.next_turn = 0.0
    make.error = None
    assert (fetch(other, make).state, fetch(key, make).state, make.made) == ("miss", "miss", 5)


def test_one_caller_finds_out_whether_the_database_is_back_and_nobody_waits_for_it(
    key: Key, threads: ThreadPoolExecutor
) -> None:
    make = Maker()
    fetch(key, make)
    store().touch({key.scope: None})
    make.error = GONE
    fetch(key, make)
    caching.outage.next_turn = 0.0
    make.begun.clear()
    make.may_go_on.clear()
    finding_out = threads.submit(fetch, key, make)
    assert make.begun.wait(BOUND_S)
    others: list[Future[Served]] = [threads.submit(fetch, key, make) for _ in range(5)]
    assert {other.result(BOUND_S).has_failed for other in others} == {True}
    assert not finding_out.done()
    make.error = None
    make.may_go_on.set()
    assert finding_out.result(BOUND_S).state == "miss"


def test_there_is_nothing_is_kept_for_a_moment_and_never_a_last_good_answer(
    key: Key, later: Callable[[float], None]
) -> None:
    make = Maker(ttl_s=10, status=404)
    assert (fetch(key, make).entry.status, fetch(key, make).state) == (404, "hit")
    later(11)
    make.error = GONE
    with pytest.raises(OperationalError):
        fetch(key, make)


def test_what_has_no_time_to_live_is_made_for_every_caller(key: Key) -> None:
    make = Maker(ttl_s=0)
    assert [(served.state, body(served)) for served in (fetch(key, make), fetch(key, make))] == [
        ("bypass", b"1"),
        ("bypass", b"2"),
    ]
    assert store().read(key).entry is None
    assert store().begin(key).lease is not None


def test_a_body_beyond_all_bounds_is_served_and_not_kept(key: Key, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(caching, "LARGEST_BODY", 0)
    assert fetch(key, Maker()).state == "bypass"
    assert store().read(key).entry is None


def test_turned_off_the_store_is_not_asked(key: Key, uncached: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(caching, "store", lambda: pytest.fail("the store was asked"))
    assert fetch(key, Maker()).state == "bypass"


def test_large_bodies_are_compressed_once_and_equal_bodies_give_equal_bytes(key: Key) -> None:
    def large() -> Made:
        return Made(200, "application/json", b"[1,2,3]" * 1000, 60)

    kept, again = fetch(key, large).entry, fetch(key_named(f"{key.text}:again"), large).entry
    assert kept.is_gzipped
    assert gzip.decompress(kept.body) == b"[1,2,3]" * 1000
    assert (kept.size, kept.body, kept.etag) == (7000, again.body, again.etag)


def test_changes_count_when_they_are_committed(key: Key) -> None:
    fetch(key, Maker())
    with transaction.atomic():
        changed({key.scope: [key.first_ms]})
        assert is_valid(store(), key)
    assert not is_valid(store(), key)


def test_changes_that_are_rolled_back_outdate_nothing(key: Key) -> None:
    fetch(key, Maker())
    with pytest.raises(ValueError, match="back"), transaction.atomic():  # noqa: PT012
        changed({key.scope: None})
        raise ValueError("back")
    assert is_valid(store(), key)


def test_changes_outdate_the_answers_over_their_minutes_alone(key: Key) -> None:
    newest = Key("test", f"{key.text}:latest", key.scope, *ALWAYS)
    fetch(key, Maker())
    fetch(newest, Maker())
    changed({key.scope: [key.last_ms + 1]})
    assert (is_valid(store(), key), is_valid(store(), newest)) == (True, False)
    changed({key.scope: [key.last_ms]})
    assert not is_valid(store(), key)
