"""A real server whose Redis goes away: nobody is refused, it is said, and afterwards requests are counted again."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.backend import server_only
from tests.cachemgmt.troubles import client as redis_client
from tests.cachemgmt.troubles import frozen, killed
from tests.live import KINDS, LiveServer, ServerKind, serving, wait_until
from tools.servers import PrivateRedis

pytestmark = [server_only("a private Redis is used: once, in the run on a server"), pytest.mark.contract("C92")]

BURST = 5
BACK_WITHIN_S = 20


@pytest.fixture(params=KINDS)
def server(
    request: pytest.FixtureRequest, transactional_db: None, private_redis: PrivateRedis, tmp_path: Path
) -> Iterator[LiveServer]:
    redis_client(private_redis).flushall()
    kind: ServerKind = request.param
    limit = {"RATE_LIMIT_PER_MINUTE": "1", "RATE_LIMIT_BURST": str(BURST), "REDIS_URL": private_redis.url()}
    with serving(kind, tmp_path, **limit) as live:
        yield live


def ask(server: LiveServer, count: int) -> list[Any]:
    with httpx.Client(base_url=server.root, verify=False) as client:
        return [client.get("/api/symbols") for _ in range(count)]


def limits_of(server: LiveServer) -> dict[str, str]:
    return server.get("/health").json()["components"]["limits"]


def test_redis_is_killed_and_comes_back(server: LiveServer, private_redis: PrivateRedis) -> None:
    assert [reply.status_code for reply in ask(server, BURST + 1)] == [200] * BURST + [429]
    assert limits_of(server)["status"] == "healthy"
    with killed(private_redis):
        replies = ask(server, 3 * BURST)
        assert [reply.status_code for reply in replies] == [200] * 3 * BURST
        assert not any("X-RateLimit-Limit" in reply.headers for reply in replies)
        said = limits_of(server)
        assert said["status"] == "degraded"
        assert "not enforced now" in said["message"]
        assert server.get("/health").status_code == 200
    wait_until(lambda: limits_of(server)["status"] == "healthy", BACK_WITHIN_S, "requests are counted again")
    assert server.log.count("requests are not limited") == 1
    # It came back with nothing in it.
    assert [reply.status_code for reply in ask(server, BURST + 1)] == [200] * BURST + [429]


def test_a_redis_that_hangs_holds_requests_up_once(server: LiveServer, private_redis: PrivateRedis) -> None:
    ask(server, BURST + 1)
    with frozen(private_redis):
        began = time.monotonic()
        assert {reply.status_code for reply in ask(server, 3 * BURST)} == {200}
        # One wait for the limit and one for the cache, in each thread that finds out for itself.
        assert time.monotonic() - began < 3
    wait_until(lambda: limits_of(server)["status"] == "healthy", BACK_WITHIN_S, "requests are counted again")
    # What was counted before is still there.
    assert ask(server, 1)[0].status_code == 429
