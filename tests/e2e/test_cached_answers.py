"""Hits over real sockets: before Django in granian's workers, as the first middleware in ``manage.py serve``."""

import socket
import time
from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

import httpx
import pytest

from cachemgmt.stores.changes import INTERVAL_S
from tests.factories import DAY, HOUR, T0, order
from tests.live import KINDS, LiveServer, serving

Write = Callable[..., Any]

PATH = "/api/liquidations"
WINDOW = {"symbol": "BTCUSDT", "timeframe": "1h", "start_timestamp": T0, "end_timestamp": T0 + DAY}
PAGE = "https://page.example"
IDENTITY = {"accept-encoding": "identity"}
# What differs from one answer to the next on one way too.
VOLATILE = {"age", "cache-control", "date", "x-cache", "x-request-id"}


@pytest.fixture(scope="module", params=KINDS)
def server(
    request: pytest.FixtureRequest, django_db_setup: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[LiveServer]:
    home = tmp_path_factory.mktemp(f"cached-{request.param}")
    with serving(request.param, home, CORS_ORIGINS=PAGE) as server:
        yield server


@pytest.fixture
def day(write: Write) -> None:
    write([order(T0 + hour * HOUR, side=side) for hour in range(24) for side in ("BUY", "SELL")])
    # Without Redis a server looks for changes at most so often; the next request finds this one.
    time.sleep(2 * INTERVAL_S)


def made_and_kept(server: LiveServer, headers: dict[str, str]) -> tuple[Any, Any]:
    """An answer that was made, and the hit after it."""
    made, kept = (server.get(PATH, headers | {"x-request-id": uuid4().hex}, **WINDOW) for _ in range(2))
    assert [reply.headers["x-cache"] for reply in (made, kept)] == ["miss", "hit"]
    return made, kept


def steady(reply: Any) -> dict[str, str]:
    return {name: value for name, value in reply.headers.items() if name not in VOLATILE}


@pytest.mark.parametrize(
    "headers",
    [
        IDENTITY,
        {"accept-encoding": "gzip"},
        IDENTITY | {"origin": PAGE},
        IDENTITY | {"origin": "https://other.example"},
    ],
    ids=["plain", "gzip", "our page", "another's page"],
)
def test_a_hit_looks_like_the_answer_that_was_made_and_passes_by_the_log(
    server: LiveServer, day: None, headers: dict[str, str]
) -> None:
    made, kept = made_and_kept(server, headers)
    assert (made.status_code, steady(made), made.content) == (kept.status_code, steady(kept), kept.content)
    assert [reply.headers["x-request-id"] in server.log for reply in (made, kept)] == [True, False]


def test_a_client_that_has_the_body_gets_headers_alone(server: LiveServer, day: None) -> None:
    _, kept = made_and_kept(server, IDENTITY)
    reply = server.get(PATH, {"if-none-match": f'"other", {kept.headers["etag"]}'}, **WINDOW)
    assert (reply.status_code, reply.content, reply.headers["x-cache"]) == (304, b"", "hit")
    assert "content-type" not in reply.headers


def test_pages_of_the_configured_origin_may_read(server: LiveServer, day: None) -> None:
    asked = {"origin": PAGE, "access-control-request-method": "GET", "access-control-request-headers": "if-none-match"}
    preflight = httpx.options(f"{server.root}{PATH}", headers=asked)
    assert preflight.status_code == 200
    assert preflight.headers["access-control-allow-origin"] == PAGE
    for reply in made_and_kept(server, {"origin": PAGE}):
        assert reply.headers["access-control-allow-origin"] == PAGE


@pytest.mark.parametrize("symbol", [b"\xff\xfe", b"%FF%00", b"S" * 5000])
def test_strange_bytes_are_answered_the_same_again(server: LiveServer, day: None, symbol: bytes) -> None:
    query = b"timeframe=1h&start_timestamp=1&end_timestamp=2&symbol=" + symbol
    first, second = (status_line(server, query) for _ in range(2))
    assert first == second
    assert first.split()[1] in (b"400", b"404")


def status_line(server: LiveServer, query: bytes) -> bytes:
    """Not through a client library, which would escape the query."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as connection:
        connection.sendall(b"GET %b?%b HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n" % (PATH.encode(), query))
        return connection.makefile("rb").readline()


def figures(server: LiveServer) -> dict[str, float]:
    lines = [line for line in server.get("/metrics").text.splitlines() if not line.startswith("#")]
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}


def test_every_hit_is_counted_once(server: LiveServer, day: None) -> None:
    made_and_kept(server, IDENTITY)
    before = figures(server)
    for _ in range(10):
        assert server.get(PATH, **WINDOW).headers["x-cache"] == "hit"
    after = figures(server)
    more = {name: after[name] - before.get(name, 0) for name in after}
    assert more['liqui_cache_requests_total{namespace="liq",result="hit"}'] == 10
    assert (
        more[
            'django_http_responses_total_by_status_view_method_total{method="GET",status="200",view="liquidation-list"}'
        ]
        == 10
    )
    # A scrape is a request as well, and has not been answered when it looks.
    assert more["django_http_requests_before_middlewares_total"] == 11
    assert more["django_http_responses_before_middlewares_total"] == 11
    assert more["django_http_requests_latency_including_middlewares_seconds_count"] == 11
