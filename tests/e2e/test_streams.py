"""Streams over real sockets, on both kinds of server: clients that leave, too many of them, flat memory."""

import json
import socket
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
from django.db import connection

from tests.backend import server_only
from tests.bulk import rows_fill
from tests.factories import DAY, T0, order
from tests.live import LiveServer, wait_until

PATH = "/api/liquidation-orders/stream"
WINDOW = {"symbol": "BTCUSDT", "start_timestamp": T0, "end_timestamp": T0 + 30 * DAY}

Write = Callable[..., Any]


# A client that takes little at a time: what it has not read is then with the server, not in the sockets between.
SMALL_BUFFER = [(socket.SOL_SOCKET, socket.SO_RCVBUF, 262_144)]
MANY = 50_000  # rows, 14 MB: more than all buffers on the way hold


@contextmanager
def stream(live: LiveServer, **headers: str) -> Iterator[tuple[httpx.Response, Iterator[bytes]]]:
    """A response and its chunks, read as the test asks for them; leaving the block closes the connection."""
    headers = {"Accept-Encoding": "identity", **{name.replace("_", "-"): value for name, value in headers.items()}}
    with (
        httpx.Client(transport=httpx.HTTPTransport(verify=False, socket_options=SMALL_BUFFER), timeout=30) as client,
        client.stream("GET", f"{live.root}{PATH}", params=WINDOW, headers=headers) as response,
    ):
        yield response, response.iter_raw()


def times_of(lines: bytes) -> list[int]:
    return [json.loads(line)["order_trade_time"] for line in lines.splitlines()]


def running_streams() -> int:
    """How many queries of streams the database server is running."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT COUNT(*) FROM information_schema.processlist WHERE db = DATABASE() AND id <> CONNECTION_ID() "
            "AND info LIKE %s",
            ["%ORDER BY order_trade_time DESC%"],
        )
        return cursor.fetchone()[0]


@pytest.mark.contract("D033")
def test_a_long_stream_arrives_whole_and_in_order(write: Write, live: LiveServer) -> None:
    rows_fill(20_000)
    with stream(live) as (response, chunks):
        times = times_of(b"".join(chunks))
    assert response.headers["Content-Type"] == "application/x-ndjson"
    assert times == [T0 + 1000 * at for at in reversed(range(20_000))]


@pytest.mark.contract("D034")
def test_a_stream_without_rows_is_an_empty_body(write: Write, live: LiveServer) -> None:
    response = live.get(PATH, **{**WINDOW, "symbol": "NONE"})
    assert (response.status_code, response.content) == (200, b"")


@pytest.mark.contract("D040")
def test_the_rows_of_a_compressed_stream_can_be_read_as_they_arrive(write: Write, live: LiveServer) -> None:
    rows_fill(5000)
    with stream(live, Accept_Encoding="gzip") as (response, chunks):
        assert response.headers["Content-Encoding"] == "gzip"
        first = zlib.decompressobj(31).decompress(next(chunks))
    # A whole row at once, long before the compressor's buffer is full.
    assert times_of(first.splitlines()[0]) == [T0 + 1000 * 4999]


@pytest.mark.contract("D037")
def test_rows_inserted_while_a_client_reads_neither_repeat_nor_hide_any(write: Write, live: LiveServer) -> None:
    rows_fill(MANY)
    with stream(live) as (_, chunks):
        first = next(chunks)
        places = (0, 10, MANY // 2, MANY - 1, MANY + 9)
        write([order(T0 + 1000 * at + part, quantity="7") for at in places for part in (0, 500)])
        times = times_of(first + b"".join(chunks))
    assert times == [T0 + 1000 * at for at in reversed(range(MANY))]


@pytest.mark.contract("D036")
@server_only("SQLite has no list of running queries")
def test_the_query_of_a_client_that_leaves_is_gone_within_two_seconds(write: Write, live: LiveServer) -> None:
    rows_fill(MANY)
    for encoding in ("identity", "gzip"):
        with stream(live, Accept_Encoding=encoding) as (_, chunks):
            next(chunks)
            assert running_streams() == 1
        wait_until(lambda: running_streams() == 0, 10, "the query has ended in the database server")


def test_streams_too_many_are_refused_until_a_client_leaves(write: Write, live: LiveServer) -> None:
    rows_fill(MANY)
    with stream(live) as (_, one), stream(live) as (_, two):
        next(one), next(two)
        refused = live.get(PATH, **WINDOW)
        assert (refused.status_code, refused.json()) == (503, {"detail": "Too many streams are open"})
        assert int(refused.headers["Retry-After"]) > 0
        # Everything else is answered meanwhile.
        assert live.get("/api/symbols").json() == ["BTCUSDT"]
        assert live.get("/health").status_code == 200
    wait_until(lambda: places_free(live) == 2, 10, "both places are free again")


def places_free(live: LiveServer) -> int:
    with stream(live) as (one, _), stream(live) as (two, _):
        return [one.status_code, two.status_code].count(200)


@pytest.mark.slow
@pytest.mark.contract("D036")
def test_memory_stays_flat_while_a_long_stream_is_read(write: Write, live: LiveServer) -> None:
    rows_fill(300_000)
    with stream(live) as (_, chunks):
        size = len(next(chunks))
        before = live.resident_bytes()
        peak, measured_at = before, 0.0
        for chunk in chunks:
            size += len(chunk)
            if time.monotonic() > measured_at + 0.1:
                peak, measured_at = max(peak, live.resident_bytes()), time.monotonic()
    assert size > 80_000_000
    assert peak - before < 30_000_000


def test_a_reader_that_pauses_holds_up_nobody_and_gets_the_rest(write: Write, live: LiveServer) -> None:
    rows_fill(MANY)
    with stream(live) as (_, chunks):
        lines = next(chunks).count(b"\n")
        time.sleep(1)
        assert live.get("/api/symbols", timeout=10).status_code == 200
        lines += sum(chunk.count(b"\n") for chunk in chunks)
    assert lines == MANY
