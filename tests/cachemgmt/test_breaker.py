"""Redis in every kind of trouble, seen by one process: local memory takes over, and what was missed is caught up."""

import itertools
import time
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest
import redis

from cachemgmt.stores import guarded
from cachemgmt.stores.breaker import Breaker
from cachemgmt.stores.guarded import GuardedStore
from cachemgmt.stores.memory import MemoryStore
from cachemgmt.stores.redis import RedisStore
from database import breaker as module
from tests.backend import server_only
from tests.cachemgmt.kept import MINUTE, is_valid, keep, key
from tests.cachemgmt.troubles import TROUBLES, Trouble, cache_client, client, frozen, full, killed
from tests.live import wait_until
from tools.servers import PrivateRedis

BACK_WITHIN_S = 20

private = server_only("a private Redis is used: once, in the run on a server")


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the breaker logs."""
    lines: list[str] = []

    class Logger:
        info = error = staticmethod(lines.append)

    monkeypatch.setattr(module, "logger", Logger())
    return lines


@pytest.fixture
def new_store(private_redis: PrivateRedis) -> Callable[[], GuardedStore]:
    """The store of one more process."""
    client(private_redis).flushall()

    def new() -> GuardedStore:
        return GuardedStore(RedisStore(cache_client(private_redis.url()), "breaker"), MemoryStore(1 << 20))

    return new


@pytest.fixture
def store(new_store: Callable[[], GuardedStore]) -> Iterator[GuardedStore]:
    store = new_store()
    yield store
    store.pending.clear()
    store.has_lost_changes = False


def is_back(store: GuardedStore) -> bool:
    return not store.is_down


@private
@pytest.mark.parametrize(("trouble", "words"), TROUBLES.values(), ids=TROUBLES.keys())
def test_in_trouble_local_memory_takes_over_and_afterwards_redis_again(
    store: GuardedStore, private_redis: PrivateRedis, trouble: Trouble, words: str, said: list[str]
) -> None:
    keep(store, key("before"))
    with trouble(private_redis):
        began = time.monotonic()
        keep(store, key("meanwhile"), b"[2]")
        assert store.is_down
        assert is_valid(store, key("meanwhile"))
        assert time.monotonic() - began < 3
        assert words in said[0]
        assert "answering from local memory" in said[0]
        assert store.name.startswith("local memory (Redis ")
        assert store.figures() == {"available": False, "error": "Cache not available"}
        began = time.monotonic()
        for number in range(20):
            keep(store, key(str(number)))
            store.touch({"symbol:X": {number}})
            assert store.once(f"once {number}", 60)
            assert store.note("note", b"1") == b"1"
            store.learn({"/api/a": 1})
            assert store.learned(1)
            assert list(store.entries("test:meanwhile"))
        assert time.monotonic() - began < 3
        assert len(said) == 1
    wait_until(lambda: is_back(store), BACK_WITHIN_S, "Redis is used again")
    assert "is well again after" in said[1]
    assert store.figures()["available"]
    keep(store, key("after"))
    assert store.server.read(key("after")).entry is not None
    assert (store.breaker.openings, len(said)) == (1, 2)


@private
def test_a_restart_without_a_pause_is_not_even_noticed(
    store: GuardedStore, private_redis: PrivateRedis, said: list[str]
) -> None:
    keep(store, key())
    private_redis.kill()
    private_redis.start()
    assert not is_valid(store, key())
    keep(store, key())
    assert is_valid(store, key())
    assert said == []


@private
def test_what_has_changed_while_redis_was_away_is_told_before_its_answers_are_used_again(
    store: GuardedStore, new_store: Callable[[], GuardedStore], private_redis: PrivateRedis
) -> None:
    other = new_store()
    for name, scope in (("1", key().scope), ("2", "symbol:ETHUSDT")):
        keep(store, key(name, scope))
    with frozen(private_redis):
        for minute in (MINUTE - 1, MINUTE):
            store.touch({key().scope: {minute}})
        assert store.is_down
    wait_until(lambda: is_back(store), BACK_WITHIN_S, "Redis is used again")
    for each in (store, other):
        assert each.server.read(key()).entry is not None
        assert not is_valid(each, key())
        assert is_valid(each, key("2", "symbol:ETHUSDT"))
    assert store.pending == {}


@private
def test_after_more_changes_than_are_remembered_everything_is_outdated(
    store: GuardedStore, private_redis: PrivateRedis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guarded, "MAX_PENDING", 3)
    keep(store, key())
    with frozen(private_redis):
        for number in range(10):
            store.touch({f"symbol:{number}": {MINUTE}})
    wait_until(lambda: is_back(store), BACK_WITHIN_S, "Redis is used again")
    assert not is_valid(store, key())


@private
@pytest.mark.parametrize("act", [lambda store: store.clear("*"), lambda store: store.renew()], ids=["clear", "renew"])
def test_what_operators_remove_while_redis_is_away_does_not_come_back(
    store: GuardedStore, private_redis: PrivateRedis, act: Callable[[GuardedStore], object]
) -> None:
    keep(store, key())
    with frozen(private_redis):
        assert not act(store)
        keep(store, key())
        act(store)
        assert not is_valid(store, key())
    wait_until(lambda: is_back(store), BACK_WITHIN_S, "Redis is used again")
    assert not is_valid(store, key())


@private
def test_a_full_redis_is_told_of_changes_and_cured_by_clearing(
    store: GuardedStore, new_store: Callable[[], GuardedStore], private_redis: PrivateRedis
) -> None:
    other = new_store()
    keep(store, key())
    with full(private_redis):
        with suppress(redis.OutOfMemoryError):
            store.begin(key("2"))
        assert store.is_down
        store.touch({key().scope: {MINUTE}})
        wait_until(
            lambda: not is_valid(other, key()), BACK_WITHIN_S, "others, who still read, have heard of the change"
        )
        assert store.is_down
        assert store.clear("*") == 1
    wait_until(lambda: is_back(store), BACK_WITHIN_S, "Redis is used again")


@private
def test_a_process_that_ends_tells_redis_what_it_does_not_know_yet(
    store: GuardedStore, private_redis: PrivateRedis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "FIRST_WAIT_S", 60)
    keep(store, key())
    with frozen(private_redis):
        store.touch({key().scope: {MINUTE}})
        store.part()
        assert store.pending
    store.part()
    assert not store.pending
    assert not store.server.read(key()).is_valid(key())


@private
def test_a_server_is_tried_again_by_hand(
    store: GuardedStore, private_redis: PrivateRedis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "FIRST_WAIT_S", 60)
    keep(store, key())
    with killed(private_redis):
        keep(store, key("meanwhile"))
        store.touch({key().scope: {MINUTE}})
        assert not store.retry()
        assert store.is_down
        assert [look.info.key for look in store.page("*").looks] == ["test:meanwhile"]
    assert store.retry()
    assert not store.is_down
    assert store.retry()
    assert store.page("*").looks == []


@private
def test_answers_of_local_memory_are_fresh_for_seconds_and_good_for_longer(
    store: GuardedStore, private_redis: PrivateRedis
) -> None:
    with frozen(private_redis):
        made = keep(store, key())
        kept = store.read(key()).entry
        assert kept is not None
        assert kept.fresh_until_ms == made.made_ms + guarded.FALLBACK_FRESH_MS
        (info,) = store.entries("*")
        assert info.ttl_s > guarded.FALLBACK_FRESH_MS / 1000


def test_a_breaker_opens_once_and_closes_when_it_is_mended(said: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FIRST_WAIT_S", 0.01)
    attempts = itertools.count()

    def mend() -> None:
        # Also what no one has foreseen must not keep a breaker open for ever.
        if (attempt := next(attempts)) < 4:
            raise [redis.TimeoutError(), OSError(), ValueError("?"), KeyError(1)][attempt]

    breaker = Breaker("Ours", mend)
    for _ in range(5):
        breaker.open(redis.TimeoutError("Timeout reading"))
    assert breaker.is_open
    wait_until(lambda: not breaker.is_open, BACK_WITHIN_S, "it is closed")
    assert breaker.openings == 1
    # A breaker of an earlier test may still have something to say.
    ours = [line for line in said if line.startswith("Ours ")]
    assert ours[0] == (
        "Ours does not answer in time (Timeout reading); answering from local memory until it is well again"
    )
    assert len(ours) == 2
