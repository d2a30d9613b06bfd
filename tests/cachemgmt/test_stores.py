"""What every store does: local memory, local memory that hears of others through the database, and Redis."""

import time
from collections.abc import Iterator

import msgspec
import pytest
from django.conf import settings
from django_redis import get_redis_connection

from cachemgmt.stores import memory, redis
from cachemgmt.stores.base import PAGE, Store
from cachemgmt.stores.changes import DatabaseChanges
from cachemgmt.stores.memory import MemoryStore
from cachemgmt.stores.redis import RedisStore
from cachemgmt.types import ALWAYS, Key
from tests.backend import server_only
from tests.cachemgmt.kept import MINUTE, entry, is_valid, keep, key

KINDS = [
    "memory",
    pytest.param("memory and log", marks=pytest.mark.django_db(transaction=True)),
    pytest.param("redis", marks=server_only("Redis runs beside a database server")),
]


@pytest.fixture(params=KINDS)
def store(request: pytest.FixtureRequest) -> Iterator[Store]:
    if request.param == "redis":
        kept = RedisStore(get_redis_connection("default"), f"{settings.CACHE_KEY_PREFIX}:stores")
        yield kept
        if names := kept.client.keys(f"{kept.prefix}:*"):
            kept.client.unlink(*names)
        return
    if request.param == "memory and log":
        request.getfixturevalue("transactional_db")
    yield MemoryStore(8 << 20, DatabaseChanges() if request.param == "memory and log" else None)


def test_what_was_kept_is_read_as_it_was(store: Store) -> None:
    assert store.read(key()).entry is None
    kept = keep(store, key(), b"[1]")
    reading = store.read(key())
    assert reading.entry == kept
    assert reading.is_valid(key())
    assert store.read(key("2")).entry is None


def test_one_of_two_callers_gets_the_lease_until_the_answer_is_kept(store: Store) -> None:
    first, second = store.begin(key()), store.begin(key())
    assert first.lease is not None
    assert second.lease is None
    assert second.stamp > first.stamp
    assert store.begin(key("2")).lease is not None
    store.save(key(), entry(first), 60, first)
    assert store.begin(key()).lease is not None


def test_a_lease_that_is_given_back_is_free(store: Store) -> None:
    begun = store.begin(key())
    store.release(key(), store.begin(key()))
    assert store.begin(key()).lease is None
    store.release(key(), begun)
    assert store.begin(key()).lease is not None


def test_the_lease_of_a_caller_that_has_died_runs_out_and_a_late_answer_ends_no_other_lease(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        for module in (memory, redis):
            patch.setattr(module, "LEASE_S", 0.1)
        dead = store.begin(key())
    time.sleep(0.15)
    heir = store.begin(key())
    assert heir.lease is not None
    store.save(key(), entry(dead), 60, dead)
    store.release(key(), dead)
    assert store.begin(key()).lease is None


def test_an_answer_is_removed_when_its_time_is_over(store: Store) -> None:
    keep(store, key("short"), keep_s=0.05)
    keep(store, key("long"), keep_s=60)
    time.sleep(0.1)
    assert store.read(key("short")).entry is None
    assert [each.key for each in store.entries("*")] == ["test:long"]


@pytest.mark.parametrize("minutes", [None, {MINUTE}, {MINUTE + 59, 7}, set(range(MINUTE + 100, MINUTE + 200))])
def test_a_change_within_an_answers_window_outdates_it(store: Store, minutes: set[int] | None) -> None:
    keep(store, key())
    store.touch({key().scope: minutes})
    assert not is_valid(store, key())
    assert store.read(key()).entry is not None
    keep(store, key())
    assert is_valid(store, key())


def test_changes_elsewhere_outdate_nothing(store: Store) -> None:
    keep(store, key())
    store.touch({key().scope: {MINUTE - 1, MINUTE + 60}, "symbol:ETHUSDT": None, "symbol:NEW": {MINUTE}})
    store.touch({key().scope: set()})
    assert is_valid(store, key())


def test_what_depends_on_all_times_is_outdated_by_every_change(store: Store) -> None:
    newest = Key("test", "test:latest", key().scope, *ALWAYS)
    keep(store, newest)
    store.touch({key().scope: {0}})
    assert not is_valid(store, newest)


def test_a_change_while_an_answer_is_made_outdates_it(store: Store) -> None:
    begun = store.begin(key())
    store.touch({key().scope: {MINUTE}})
    store.save(key(), entry(begun), 60, begun)
    assert not is_valid(store, key())


def test_renewing_outdates_everything_also_what_is_being_made(store: Store) -> None:
    keep(store, key())
    other = key("2", "symbol:ETHUSDT")
    begun = store.begin(other)
    store.renew()
    store.save(other, entry(begun), 60, begun)
    assert not is_valid(store, key())
    assert not is_valid(store, other)
    keep(store, key())
    assert is_valid(store, key())


def test_clearing_removes_what_matches_and_says_how_much(store: Store) -> None:
    for name in ("a:1", "a:2", "b:1", "%2A:1", f"~{'0' * 64}:1"):
        keep(store, key(name))
    assert store.clear("test:%2A:*") == 1
    assert store.clear("test:a:?") == 2
    assert store.clear("test:a:*") == 0
    assert store.read(key("a:1")).entry is None
    assert is_valid(store, key("b:1"))
    assert store.clear("*") == 2


def test_many_answers_are_cleared_and_counted(store: Store) -> None:
    begun = store.begin(key())
    for number in range(2500):
        store.save(key(str(number)), entry(begun), 60, begun)
    assert len(list(store.entries("test:1*"))) == 1 + 10 + 100 + 1000
    assert store.clear("test:1*") == 1 + 10 + 100 + 1000
    assert store.clear("*") == 2500 - 1111


def test_an_answer_that_was_being_made_while_operators_cleared_is_not_kept(store: Store) -> None:
    begun = store.begin(key())
    assert store.clear("*") == 0
    store.save(key(), entry(begun), 60, begun)
    assert store.read(key()).entry is None
    assert store.begin(key()).lease is not None


def test_entries_tell_names_sizes_and_times(store: Store) -> None:
    keep(store, key("a"), b"x" * 5000, keep_s=30)
    keep(store, key("b"), keep_s=60)
    (found,) = store.entries("test:a")
    assert found.key == "test:a"
    assert 5000 <= found.bytes < 6000
    assert 25 < found.ttl_s <= 30
    assert {each.key for each in store.entries("*")} == {"test:a", "test:b"}


def test_once_is_once_until_its_time_is_over(store: Store) -> None:
    assert store.once("warm", 60)
    assert not store.once("warm", 60)
    assert store.once("clear", 0.05)
    time.sleep(0.1)
    assert store.once("clear", 0.05)


def test_a_note_is_read_until_its_time_is_over(store: Store) -> None:
    assert store.note("progress") is None
    store.note("progress", b"1 of 2")
    store.note("short", b"2 of 2", seconds=0.05)
    time.sleep(0.1)
    assert store.note("progress") == b"1 of 2"
    assert store.note("short") is None


def test_the_most_frequent_requests_are_learned(store: Store) -> None:
    store.learn({"/api/a": 3, "/api/b?x=ü": 5})
    store.learn({"/api/a": 4, "/api/c": 1})
    assert store.learned(2) == [("/api/a", 7), ("/api/b?x=ü", 5)]
    store.learn({f"/api/{number}": 1 for number in range(3000)})
    assert store.learned(1)[0][0] == "/api/a"
    assert len(store.learned(5000)) <= 1000


def test_figures_have_the_contracts_eight_fields(store: Store) -> None:
    keep(store, key())
    store.read(key())
    figures = store.figures()
    assert list(figures) == [
        "available",
        "connected_clients",
        "used_memory",
        "used_memory_human",
        "keyspace_hits",
        "keyspace_misses",
        "total_commands_processed",
        "hit_rate",
    ]
    assert figures["available"] is True
    assert figures["keyspace_hits"] >= 1
    assert 0 < figures["hit_rate"] <= 100


def pages(store: Store, pattern: str = "*") -> list[list[str]]:
    """The keys of all pages."""
    found, cursor = [], ""
    while True:
        page = store.page(pattern, cursor)
        found.append(sorted(look.info.key for look in page.looks))
        cursor = page.cursor
        if not cursor:
            return found


def test_pages_show_every_key_that_matches_and_are_bounded(store: Store) -> None:
    keys = [keep(store, key(f"{number:03}")) and f"test:{number:03}" for number in range(230)]
    keep(store, Key("other", "other:1", "symbol:X"))
    found = pages(store, "test:*")
    assert sorted(name for names in found for name in names) == keys
    assert all(len(names) < 2 * PAGE for names in found)
    assert pages(store, "test:22?") == [[f"test:22{number}" for number in range(10)]]
    assert pages(store, "none*") == [[]]


def test_one_key_is_a_page_of_its_own(store: Store) -> None:
    keep(store, key("1"), b"x" * 5000)
    keep(store, key("11"))
    page = store.page("test:1")
    [look] = page.looks
    assert (look.info.key, page.cursor) == ("test:1", "")
    assert look.info.bytes > 5000
    assert 59 < look.info.ttl_s <= 60
    assert store.page("test:2").looks == []
    assert [info.key for info in store.entries("test:1")] == ["test:1"]
    assert store.clear("test:1") == 1
    assert pages(store) == [["test:11"]]


def test_a_look_tells_what_a_reading_tells_but_for_the_body(store: Store) -> None:
    keep(store, key("1"), b"[1]")
    read = store.read(key("1"))
    [look] = store.page("test:1").looks
    assert read.entry is not None
    assert look.reading == read._replace(entry=msgspec.structs.replace(read.entry, body=b""))
    assert look.reading.is_valid(key("1"))
    store.touch({key().scope: {MINUTE}})
    [look] = store.page("test:1").looks
    assert not look.reading.is_valid(key("1"))


@pytest.mark.parametrize("cursor", ["-1", "²", "x", "1" * 30, "9" * 5000, "\x00", "🙂"])
def test_a_cursor_that_nobody_gave_out_is_no_trouble(store: Store, cursor: str) -> None:
    keep(store, key("1"))
    assert store.page("test:*", cursor).cursor == ""
    assert [look.info.key for look in store.page("test:*", "0").looks] == ["test:1"]


@server_only("Redis runs beside a database server")
def test_what_another_version_has_written_is_listed_as_unreadable_and_can_be_removed() -> None:
    kept = RedisStore(get_redis_connection("default"), f"{settings.CACHE_KEY_PREFIX}:stores")
    values = [b"", b"?", b"\xc1", b"\x9f", msgspec.msgpack.encode([200, "text", 1]), msgspec.msgpack.encode({"a": 1})]
    for number, value in enumerate(values):
        kept.client.set(f"{kept.prefix}:e:test:{number}", value, px=60_000)
    looks = kept.page("test:*").looks
    assert [look.reading.entry for look in looks] == [None] * len(looks)
    assert len(looks) == len(values)
    assert kept.clear("test:*") == len(values)
