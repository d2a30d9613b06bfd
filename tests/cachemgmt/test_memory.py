"""Local memory: bounded by bytes, as right as Redis about patterns, and safe to share between threads."""

import threading
import time
from collections.abc import Iterator

import pytest
from django_redis import get_redis_connection
from hypothesis import example, given
from hypothesis import strategies as st

from cachemgmt.stores import memory
from cachemgmt.stores.memory import ENTRY_OVERHEAD, MemoryStore, glob_regex
from tests.backend import server_only
from tests.cachemgmt.kept import MINUTE, entry, is_valid, keep, key
from tests.liquidations.processes import at_once

PATTERN = st.text(alphabet="ab:*?[]^-\\", max_size=10)
# No key is empty, and Redis' "**" does not match what is.
NAME = st.text(alphabet="ab:*?[]^-\\", min_size=1, max_size=6)


@pytest.fixture(scope="module")
def matches_in_redis() -> Iterator[object]:
    client = get_redis_connection("default")
    # Redis' own matching, without keys that others would see: a set of one member.
    script = client.register_script(
        "redis.call('DEL', KEYS[1]); redis.call('SADD', KEYS[1], ARGV[1]); "
        "local found = redis.call('SSCAN', KEYS[1], 0, 'MATCH', ARGV[2]); redis.call('DEL', KEYS[1]); return #found[2]"
    )
    return lambda pattern, name: bool(script(keys=["liqui-tests:glob"], args=[name, pattern]))


@server_only("compared with Redis itself")
@given(pattern=PATTERN, names=st.lists(NAME, min_size=1, max_size=5))
@example(pattern="[a", names=["a", "[a", "b"])
@example(pattern="[^a-b]", names=["a", "c", "^", "-"])
@example(pattern="[]a]", names=["]a]", "]", "a", ""])
@example(pattern="[b-a]", names=["a", "b", "-"])
@example(pattern="\\", names=["\\", ""])
@example(pattern="[\\]]", names=["]", "\\"])
@example(pattern="a[", names=["a", "a["])
@example(pattern="[^", names=["a", "^"])
@example(pattern="[a-", names=["a", "-"])
@example(pattern="[a\\-b]", names=["a", "-", "b", "\\"])
@example(pattern="[*", names=["*", "a"])
def test_a_pattern_matches_what_it_matches_in_redis(matches_in_redis: object, pattern: str, names: list[str]) -> None:
    assert callable(matches_in_redis)
    for name in names:
        assert bool(glob_regex(pattern).fullmatch(name)) == matches_in_redis(pattern, name), name


def test_a_pattern_of_many_stars_takes_no_longer_than_others() -> None:
    began = time.monotonic()
    assert not glob_regex("*a" * 40 + "*b").fullmatch("a" * 400)
    assert glob_regex("*a" * 40 + "*").fullmatch("a" * 400)
    assert time.monotonic() - began < 1


def test_answers_unused_for_longest_go_when_there_is_no_room() -> None:
    store = MemoryStore(max_bytes=3 * (1000 + ENTRY_OVERHEAD))
    for name in "abc":
        keep(store, key(name), b"x" * 1000)
    assert store.read(key("a")).entry is not None
    keep(store, key("d"), b"x" * 1000)
    assert {each.key for each in store.entries("*")} == {"test:a", "test:c", "test:d"}
    assert store.bytes == 3 * (1000 + ENTRY_OVERHEAD)


def test_bytes_are_given_back_by_replacing_clearing_and_running_out() -> None:
    store = MemoryStore(1 << 20)
    keep(store, key("a"), b"x" * 1000)
    keep(store, key("a"), b"x" * 10)
    assert store.bytes == 10 + ENTRY_OVERHEAD
    keep(store, key("b"), keep_s=0.01)
    time.sleep(0.02)
    store.read(key("b"))
    assert store.bytes == 10 + ENTRY_OVERHEAD
    store.clear("*")
    assert store.bytes == 0


def test_an_answer_larger_than_all_the_room_is_not_kept_and_pushes_nothing_out() -> None:
    store = MemoryStore(max_bytes=2000)
    keep(store, key("a"))
    keep(store, key("b"), b"x" * 2000)
    assert {each.key for each in store.entries("*")} == {"test:a"}
    assert store.begin(key("b")).lease is not None


def test_a_scope_that_was_forgotten_leaves_no_answer_valid(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "GENERATIONS_KEPT", 2)
    store = MemoryStore(1 << 20)
    first = store.begin(key())
    for _ in range(1000):
        store.touch({key().scope: {0}})
    begun = store.begin(key())
    store.save(key(), entry(begun), 60, begun)
    for scope in ("symbol:A", "symbol:B"):
        keep(store, key(scope, scope))
    assert not is_valid(store, key())
    # Changes of the meantime were not noted: what was begun before must not come to life again.
    assert store.begin(key()).stamp > begun.stamp > first.stamp
    assert not is_valid(store, key())


def test_a_reading_does_not_change_while_it_is_looked_at() -> None:
    store = MemoryStore(1 << 20)
    keep(store, key())
    reading = store.read(key())
    store.touch({key().scope: {MINUTE}})
    assert reading.is_valid(key())
    assert not is_valid(store, key())


def test_threads_share_it() -> None:
    store = MemoryStore(50_000)
    is_over = threading.Event()

    def read() -> None:
        while not is_over.is_set():
            store.read(key()).is_valid(key())
            list(store.entries("*"))

    def write() -> None:
        for number in range(2000):
            keep(store, key(str(number % 100)), b"x" * (number % 1500))
            store.touch({key().scope: {MINUTE + number}})
        is_over.set()

    at_once(read, read, write)
    assert 0 < store.bytes == sum(each.bytes for each in store.entries("*")) <= 50_000
