"""Redis in every kind of trouble while clients are reading: every read is answered as if nothing were the matter."""

import statistics
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest

from liquidations.types import ForcedOrder, WriteResult
from tests.backend import server_only
from tests.cachemgmt.troubles import TROUBLES, Trouble, client
from tests.factories import HOUR, T0, order
from tests.live import LiveServer, serving, wait_until
from tools.servers import PrivateRedis

CLIENTS = 3
OPENED, CLOSED = "answering from local memory until it is well again", "is well again after"
# Generous: the tests' machine is busy. What was measured is printed.
LONGEST_S, LONGEST_MEDIAN_S, BACK_WITHIN_S = 5.0, 0.1, 20

WINDOW = {"symbol": "BTCUSDT", "start_timestamp": T0, "end_timestamp": T0 + 24 * HOUR}
REQUESTS: list[tuple[str, dict[str, Any]]] = [
    ("/api/liquidations", {"timeframe": "1m", **WINDOW}),
    ("/api/liquidation-orders", WINDOW),
    ("/api/liquidation-orders", {"symbol": "BTCUSDT", "limit": 50}),
    ("/api/symbols", {}),
]

pytestmark = server_only("a private Redis is used: once, in the run on a server")


class Read(NamedTuple):
    """One answer: how long it took, and what was wrong with it."""

    seconds: float
    fault: str


class Load:
    """Clients that read without pausing, and compare every body with the one that was right before."""

    def __init__(self, live: LiveServer, bodies: Sequence[bytes]) -> None:
        self.live, self.bodies = live, bodies
        self.reads: list[Read] = []
        self.is_over = threading.Event()
        self.threads = [threading.Thread(target=self.read, args=[number], daemon=True) for number in range(CLIENTS)]

    def __enter__(self) -> "Load":
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.is_over.set()
        for thread in self.threads:
            thread.join(60)

    def read(self, number: int) -> None:
        with httpx.Client(base_url=self.live.root, timeout=60, verify=False) as http:
            while not self.is_over.is_set():
                at = number % len(REQUESTS)
                began = time.monotonic()
                try:
                    response = http.get(REQUESTS[at][0], params=REQUESTS[at][1])
                    is_right = response.status_code == 200 and response.content == self.bodies[at]
                    fault = "" if is_right else f"{response.status_code} {response.text[:200]}"
                except httpx.TransportError as error:
                    fault = repr(error)
                self.reads.append(Read(time.monotonic() - began, fault))
                number += 1

    def median_of_next(self, count: int) -> float:
        """Median seconds of the next so many reads; waits for them."""
        first = len(self.reads)
        wait_until(lambda: len(self.reads) >= first + count, 60, f"{count} reads")
        return statistics.median(read.seconds for read in self.reads[first:])


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("troubles")


@pytest.fixture(scope="module")
def live(django_db_setup: None, session_redis: PrivateRedis, home: Path) -> Iterator[LiveServer]:
    """One production worker over the tests' database, with a Redis that can be ill-treated."""
    session_redis.start()
    with serving("wsgi", home, REDIS_URL=session_redis.url(), CACHE_KEY_PREFIX="troubles") as server:
        yield server


@pytest.fixture
def bodies(
    live: LiveServer, private_redis: PrivateRedis, write: Callable[[Sequence[ForcedOrder]], WriteResult]
) -> list[bytes]:
    """What the requests are to be answered with; nothing of it is kept yet."""
    write([order(at=T0 + 90_000 * number, side=["BUY", "SELL"][number % 2]) for number in range(800)])
    client(private_redis).flushall()
    found = [live.get(path, **parameters) for path, parameters in REQUESTS]
    assert [response.headers["X-Cache"] for response in found] == ["miss"] * len(REQUESTS)
    assert all(response.status_code == 200 and len(response.content) > 5 for response in found)
    return [response.content for response in found]


def said(live: LiveServer, words: str) -> list[str]:
    return [line for line in live.log.splitlines() if words in line]


@pytest.mark.contract("D052")
@pytest.mark.parametrize(("trouble", "words"), TROUBLES.values(), ids=TROUBLES.keys())
def test_every_read_is_answered_while_redis_is_in_trouble_and_afterwards_redis_is_used_again(
    live: LiveServer, bodies: list[bytes], private_redis: PrivateRedis, trouble: Trouble, words: str
) -> None:
    opened, closed = len(said(live, OPENED)), len(said(live, CLOSED))
    with Load(live, bodies) as load:
        before_s = load.median_of_next(100)
        with trouble(private_redis):
            # Hits need no writes: a server that is full, or a replica, is found out by the first answer to be made.
            live.get("/api/liquidations", **(REQUESTS[0][1] | {"timeframe": f"{2 + opened}m"}))
            wait_until(lambda: len(said(live, OPENED)) > opened, 20, "the trouble is said")
            open_s = load.median_of_next(200)
            component = live.get("/health").json()
        back_s = wait_until(lambda: len(said(live, CLOSED)) > closed, BACK_WITHIN_S, "Redis is used again")
        after_s = load.median_of_next(100)
    longest_s = max(read.seconds for read in load.reads)
    print(
        f"\n{words}: median {before_s * 1000:.1f} ms before, {open_s * 1000:.1f} ms meanwhile, "
        f"{after_s * 1000:.1f} ms after; longest {longest_s * 1000:.0f} ms; back after {back_s:.1f} s; "
        f"{len(load.reads)} reads"
    )
    assert [read.fault for read in load.reads if read.fault] == []
    assert longest_s < LONGEST_S
    assert open_s < before_s + LONGEST_MEDIAN_S
    (line,) = said(live, OPENED)[opened:]
    assert words in line
    assert len(said(live, CLOSED)) == closed + 1
    assert (component["status"], component["components"]["redis"]) == (
        "healthy",
        {"status": "degraded", "message": "Redis not available - running in fallback mode"},
    )
    assert live.get("/health").json()["components"]["redis"]["status"] == "healthy"
    assert client(private_redis).exists("troubles:epoch")


def test_a_restart_of_redis_loses_no_read_and_is_not_called_an_outage_by_itself(
    live: LiveServer, bodies: list[bytes], private_redis: PrivateRedis
) -> None:
    with Load(live, bodies) as load:
        load.median_of_next(50)
        private_redis.stop()
        private_redis.start()
        load.median_of_next(100)
        wait_until(lambda: client(private_redis).exists("troubles:epoch"), BACK_WITHIN_S, "Redis is used again")
    assert [read.fault for read in load.reads if read.fault] == []


@pytest.mark.contract("D056")
def test_health_does_not_wait_for_a_redis_that_is_known_to_be_away(
    live: LiveServer, bodies: list[bytes], private_redis: PrivateRedis
) -> None:
    with TROUBLES["frozen"][0](private_redis):
        opened = len(said(live, OPENED))
        live.get(REQUESTS[0][0], **REQUESTS[0][1])
        wait_until(lambda: len(said(live, OPENED)) > opened, 20, "the trouble is said")
        began = time.monotonic()
        answers = [live.get("/health") for _ in range(10)]
        seconds = time.monotonic() - began
    print(f"\n{seconds * 100:.1f} ms for each answer of /health")
    assert {response.status_code for response in answers} == {200}
    assert {response.json()["status"] for response in answers} == {"healthy"}
    assert {response.json()["components"]["redis"]["message"] for response in answers} == {
        "Redis not available - running in fallback mode"
    }
    # Waiting each time would take 2.5 s at the least.
    assert seconds < 2


def test_a_server_starts_without_its_redis_and_uses_it_when_it_comes(
    tmp_path: Path, private_redis: PrivateRedis, write: Callable[[Sequence[ForcedOrder]], WriteResult]
) -> None:
    write([order()])
    private_redis.stop()
    with serving("wsgi", tmp_path, REDIS_URL=private_redis.url(), CACHE_KEY_PREFIX="late") as live:
        assert [live.get("/api/symbols").headers["X-Cache"] for _ in range(2)] == ["miss", "hit"]
        private_redis.start()
        wait_until(lambda: said(live, CLOSED), BACK_WITHIN_S, "Redis is used")
        assert live.get("/api/symbols").json() == ["BTCUSDT"]
        assert client(private_redis).exists("late:e:symbols:all")
