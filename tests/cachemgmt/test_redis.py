"""What only Redis has: eviction, other applications' keys, scripts that are forgotten, connections that die."""

import gc
import threading
from collections.abc import Callable

import pytest
import redis

from cachemgmt.stores.redis import RedisStore
from tests.backend import server_only
from tests.cachemgmt.kept import MINUTE, entry, is_valid, keep, key
from tests.cachemgmt.troubles import cache_client
from tests.live import wait_until
from tools.servers import PrivateRedis

pytestmark = server_only("a private Redis is used: once, in the run on a server")


@pytest.fixture
def other(private_redis: PrivateRedis) -> redis.Redis:
    """Another application of the same server, with keys of its own; the server is empty otherwise."""
    client = cache_client(private_redis.url(), timeout_s=5)
    client.flushall()
    client.mset({"mine": 1, "kept2:e:test:1": 2, "ke:t:e:test:1": 3})
    return client


@pytest.fixture
def store(private_redis: PrivateRedis, other: redis.Redis) -> RedisStore:
    return RedisStore(cache_client(private_redis.url(), timeout_s=5), "ke*t")


def test_other_applications_keys_are_left_alone(store: RedisStore, other: redis.Redis) -> None:
    keep(store, key())
    assert [each.key for each in store.entries("*")] == ["test:1"]
    assert store.clear("*") == 1
    store.renew()
    assert other.mget("mine", "kept2:e:test:1", "ke:t:e:test:1") == [b"1", b"2", b"3"]


def test_two_deployments_do_not_see_each_other(store: RedisStore) -> None:
    neighbour = RedisStore(store.client, "neighbour")
    keep(store, key(), b"ours")
    assert neighbour.read(key()).entry is None
    assert neighbour.begin(key()).lease is not None
    neighbour.touch({key().scope: None})
    neighbour.renew()
    assert neighbour.clear("*") == 0
    assert is_valid(store, key())


@pytest.mark.parametrize("forgotten", ["generation", "epoch"])
def test_what_redis_evicts_outdates_answers_and_brings_none_back(
    store: RedisStore, other: redis.Redis, forgotten: str
) -> None:
    keep(store, key())
    begun = store.begin(key("2"))
    other.delete(store.generation_key(key().scope) if forgotten == "generation" else store.epoch)
    assert not is_valid(store, key())
    # A change of which nobody can take note any more.
    store.touch({key().scope: {MINUTE}})
    keep(store, key("3"))
    store.save(key("2"), entry(begun), 60, begun)
    assert [is_valid(store, key(name)) for name in ("1", "2", "3")] == [False, False, True]


def test_everything_in_redis_has_an_end_but_three_counters(store: RedisStore, other: redis.Redis) -> None:
    keep(store, key())
    store.begin(key("2"))
    store.touch({key().scope: {MINUTE}})
    store.once("warm", 1)
    store.note("progress", b"1")
    store.learn({"/api/a": 1})
    store.clear("nothing")
    endless = {name for name in other.keys("ke\\*t:*") if other.ttl(name) < 0}
    assert endless == {b"ke*t:epoch", b"ke*t:clears"}


def test_what_another_version_has_written_is_made_anew(store: RedisStore, other: redis.Redis) -> None:
    keep(store, key())
    other.set(store.entry_key(key()), b"\x93\x01\x02\x03")
    assert store.read(key()).entry is None
    keep(store, key())
    assert is_valid(store, key())


def test_scripts_that_redis_has_forgotten_are_sent_again(store: RedisStore, other: redis.Redis) -> None:
    keep(store, key())
    other.script_flush()
    store.touch({key().scope: {MINUTE}})
    assert not is_valid(store, key())
    other.script_flush()
    keep(store, key())
    assert is_valid(store, key())


@pytest.mark.parametrize(
    "ask",
    [
        lambda store: store.read(key()),
        lambda store: store.begin(key("2")),
        lambda store: store.touch({key().scope: {0}}),
        lambda store: store.renew(),
    ],
    ids=["read", "begin", "touch", "renew"],
)
def test_a_connection_that_has_died_is_replaced_without_a_word(
    store: RedisStore, private_redis: PrivateRedis, ask: Callable[[RedisStore], object]
) -> None:
    keep(store, key())
    ask(store)
    private_redis.kill()
    private_redis.start()
    ask(store)


def test_a_lease_whose_confirmation_was_lost_is_ours_all_the_same(store: RedisStore) -> None:
    assert store.begin_as("token", key()).lease == "token"
    assert store.begin_as("token", key()).lease == "token"
    assert store.begin_as("another", key()).lease is None


def test_threads_that_have_ended_leave_no_connections(store: RedisStore, other: redis.Redis) -> None:
    def clients() -> int:
        gc.collect()
        return other.info("clients")["connected_clients"]

    store.read(key())
    before = clients()
    for _ in range(30):
        thread = threading.Thread(target=store.read, args=[key()])
        thread.start()
        thread.join()
    wait_until(lambda: clients() <= before + 1, 5, "the connections are closed")


def test_a_full_server_takes_changes_and_lets_operators_clear(store: RedisStore, other: redis.Redis) -> None:
    keep(store, key())
    other.config_set("maxmemory-policy", "noeviction")
    other.config_set("maxmemory", 1)
    try:
        with pytest.raises(redis.OutOfMemoryError):
            store.begin(key())
        store.touch({key().scope: {MINUTE}})
        assert not is_valid(store, key())
        assert store.clear("*") == 1
    finally:
        other.config_set("maxmemory", 0)
    keep(store, key())
    assert is_valid(store, key())
