"""Buckets in Redis and in memory: the same verdicts, one at a time, and nobody's trouble when Redis is away."""

import multiprocessing
import threading
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

import pytest

from accounts.limits import Buckets, memory
from accounts.limits.bucket import MICROSECONDS, PARTS, Rate
from accounts.limits.memory import MemoryBuckets
from accounts.limits.redis import RedisBuckets
from database import breaker
from tests.accounts.spending import passed
from tests.backend import server_only
from tests.cachemgmt.troubles import TROUBLES, cache_client, client, frozen, killed
from tests.live import wait_until
from tools.servers import PrivateRedis

private = server_only("a private Redis is used: once, in the run on a server")
TIMEOUT_S = 0.25
SLOW = Rate(per_minute=1, burst=3)
WELL_WITHIN_S = 20


@pytest.fixture(params=["memory", pytest.param("redis", marks=private)])
def buckets(request: pytest.FixtureRequest) -> Buckets:
    return MemoryBuckets() if request.param == "memory" else request.getfixturevalue("redis_buckets")


@pytest.fixture
def redis_buckets(private_redis: PrivateRedis) -> RedisBuckets:
    client(private_redis).flushall()
    return RedisBuckets(cache_client(private_redis.url(), TIMEOUT_S), "limits")


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    lines: list[str] = []

    class Logger:
        info = error = staticmethod(lines.append)

    monkeypatch.setattr(breaker, "logger", Logger())
    return lines


def test_a_burst_passes_and_then_one_whenever_a_token_has_come(buckets: Buckets) -> None:
    rate = Rate(per_minute=300, burst=3)
    verdicts = [buckets.spend("key:1", rate) for _ in range(4)]
    assert [verdict and (verdict.is_allowed, verdict.remaining) for verdict in verdicts] == [
        (True, 2),
        (True, 1),
        (True, 0),
        (False, 0),
    ]
    time.sleep(0.21)
    after = [buckets.spend("key:1", rate) for _ in range(2)]
    assert [verdict and verdict.is_allowed for verdict in after] == [True, False]


def test_each_client_has_a_bucket_of_its_own(buckets: Buckets) -> None:
    for bucket in ("key:1", "key:2", "user:1", "address:10.0.0.1", "address:2001:db8::/64"):
        verdicts = [buckets.spend(bucket, SLOW) for _ in range(4)]
        assert [verdict and verdict.is_allowed for verdict in verdicts] == [True, True, True, False]


def test_a_refusal_costs_nothing(buckets: Buckets) -> None:
    rate = Rate(per_minute=60, burst=1)
    buckets.spend("key:1", rate)
    refused = [buckets.spend("key:1", rate) for _ in range(20)]
    lefts = [verdict.left for verdict in refused if verdict is not None]
    assert lefts == sorted(lefts)
    assert len(lefts) == 20


def test_a_smaller_burst_counts_at_once(buckets: Buckets) -> None:
    buckets.spend("key:1", Rate(1, 1000))
    verdict = buckets.spend("key:1", Rate(1, 2))
    assert verdict is not None
    assert (verdict.is_allowed, verdict.remaining) == (True, 1)


def test_threads_together_get_no_more_than_the_burst(buckets: Buckets) -> None:
    rate = Rate(per_minute=1, burst=50)
    start = threading.Barrier(20)

    def ask(_: int) -> int:
        start.wait()
        verdicts = [buckets.spend("key:1", rate) for _ in range(5)]
        return sum(verdict is not None and verdict.is_allowed for verdict in verdicts)

    with ThreadPoolExecutor(20) as pool:
        assert sum(pool.map(ask, range(20))) == 50


@private
@pytest.mark.contract("C92")
def test_two_hundred_threads_of_two_processes_get_exactly_the_burst(private_redis: PrivateRedis) -> None:
    client(private_redis).flushall()
    rate = Rate(per_minute=1, burst=100)
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as pool:
        done = [pool.submit(passed, private_redis.url(), 100, rate) for _ in range(2)]
        assert sum(each.result(60) for each in done) == 100


@private
def test_redis_forgets_a_bucket_when_it_is_full_again(private_redis: PrivateRedis, redis_buckets: RedisBuckets) -> None:
    redis_buckets.spend("key:1", Rate(per_minute=60, burst=5))
    server = client(private_redis)
    (key,) = server.keys("*")
    assert key == b"limits:r:key:1"
    assert 900 < server.pttl(key) <= 1000
    wait_until(lambda: not server.exists(key), 3, "it is forgotten")


@private
def test_what_redis_counts_is_what_python_would(private_redis: PrivateRedis, redis_buckets: RedisBuckets) -> None:
    """Odd numbers, of which nothing may be lost on the way through Lua."""
    rate = Rate(per_minute=999_983, burst=999_979)
    first, second = (redis_buckets.spend("key:1", rate) for _ in range(2))
    assert first is not None
    assert second is not None
    assert first.left == rate.full - PARTS
    elapsed_parts = second.left - (first.left - PARTS)
    assert elapsed_parts % rate.per_minute == 0 or second.left == rate.full - PARTS
    assert elapsed_parts < MICROSECONDS * rate.per_minute


@private
def test_a_script_that_the_server_has_forgotten_is_sent_again(
    private_redis: PrivateRedis, redis_buckets: RedisBuckets
) -> None:
    redis_buckets.spend("key:1", SLOW)
    client(private_redis).script_flush()
    verdict = redis_buckets.spend("key:1", SLOW)
    assert verdict is not None
    assert verdict.remaining == 1
    assert not redis_buckets.trouble


@private
def test_a_connection_that_has_died_is_nobodys_trouble(
    private_redis: PrivateRedis, redis_buckets: RedisBuckets
) -> None:
    redis_buckets.spend("key:1", SLOW)
    client(private_redis).client_kill_filter(_type="normal", skipme=True)
    assert redis_buckets.spend("key:1", SLOW) is not None


@private
@pytest.mark.parametrize("name", TROUBLES)
def test_while_redis_is_in_trouble_requests_pass_and_that_is_said_once(
    private_redis: PrivateRedis, redis_buckets: RedisBuckets, said: list[str], name: str
) -> None:
    trouble, words = TROUBLES[name]
    redis_buckets.spend("key:1", SLOW)
    with trouble(private_redis):
        assert [redis_buckets.spend("key:1", SLOW) for _ in range(50)] == [None] * 50
        assert words in redis_buckets.trouble
    ours = [line for line in said if "requests are not limited" in line]
    assert len(ours) == 1
    assert words in ours[0]
    wait_until(lambda: not redis_buckets.trouble, WELL_WITHIN_S, "Redis is used again")
    assert redis_buckets.spend("key:1", SLOW) is not None


@private
def test_a_redis_that_hangs_keeps_nobody_longer_than_one_timeout_and_the_next_not_at_all(
    private_redis: PrivateRedis, redis_buckets: RedisBuckets
) -> None:
    redis_buckets.spend("key:1", SLOW)
    with frozen(private_redis):
        began = time.monotonic()
        assert redis_buckets.spend("key:1", SLOW) is None
        assert time.monotonic() - began < TIMEOUT_S + 0.15
        began = time.monotonic()
        assert [redis_buckets.spend("key:1", SLOW) for _ in range(100)] == [None] * 100
        assert time.monotonic() - began < 0.1
    wait_until(lambda: not redis_buckets.trouble, WELL_WITHIN_S, "Redis is used again")


@private
def test_a_process_that_starts_while_redis_is_away_lets_pass_too(private_redis: PrivateRedis) -> None:
    buckets = RedisBuckets(cache_client(private_redis.url(), TIMEOUT_S), "limits")
    with killed(private_redis):
        assert buckets.spend("key:1", SLOW) is None
    wait_until(lambda: not buckets.trouble, WELL_WITHIN_S, "Redis is used again")
    assert buckets.spend("key:1", SLOW) is not None


def test_memory_is_bounded_and_forgets_who_was_not_seen_for_longest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "MAX_BUCKETS", 3)
    buckets = MemoryBuckets()
    for name in ("a", "b", "a", "c", "d"):
        buckets.spend(name, SLOW)
    assert list(buckets.kept) == ["a", "c", "d"]
