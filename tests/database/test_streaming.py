"""Results of any size through a server-side cursor: constant memory, one moment, and an end that ends the query."""

import threading
import time
import tracemalloc
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from django.db import Error, connection

from database.errors import QueryTimeout, classify
from database.streaming import RowStream
from liquidations.services import orders_write
from tests.database.test_reading import ENDLESS, MARKER, running
from tests.factories import T0, order
from tests.liquidations.outside import MYSQL, execute
from tests.live import wait_until

NUMBERS = (
    "SELECT i, '{word}' FROM "
    "(WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {count}) SELECT i FROM n) AS numbers"
    if "sqlite" in connection.settings_dict["ENGINE"]
    else "SELECT seq AS i, '{word}' FROM seq_1_to_{count}"
)
TIMES = "SELECT order_trade_time FROM binance_liqs WHERE symbol = %s ORDER BY order_trade_time"


@pytest.fixture
def opened(committed: None) -> Iterator[list[RowStream]]:
    """Streams that are closed after the test."""
    streams: list[RowStream] = []
    yield streams
    for stream in streams:
        stream.close()


def open_stream(opened: list[RowStream], sql: str, *params: Any, seconds: int = 30) -> RowStream:
    opened.append(RowStream(sql, params, seconds))
    return opened[-1]


def read_all(opened: list[RowStream], sql: str, seconds: int) -> None:
    drain(open_stream(opened, sql, seconds=seconds))


def drain(stream: RowStream) -> None:
    while stream.fetch(1000):
        pass


def numbers(count: int, word: str = "x" * 50) -> str:
    return NUMBERS.format(count=count, word=word)


def test_rows_come_in_batches_fewer_at_the_end_and_none_after_it(opened: list[RowStream]) -> None:
    orders_write([order(T0 + number) for number in range(5)] + [order(T0, "ETHUSDT")])
    stream = open_stream(opened, TIMES, "BTCUSDT")
    sizes = [[at - T0 for (at,) in stream.fetch(2)] for _ in range(4)]
    assert sizes == [[0, 1], [2, 3], [4], []]


def test_decimals_are_exact(opened: list[RowStream]) -> None:
    exact = "12345678901234567890.0123456789" if connection.vendor == "mysql" else "1234.5"
    orders_write([order(price=exact)])
    ((price,),) = open_stream(opened, "SELECT price FROM binance_liqs").fetch(10)
    assert Decimal(str(price)) == Decimal(exact)


def test_rows_inserted_during_a_stream_do_not_appear(opened: list[RowStream]) -> None:
    orders_write([order(T0 + 2 * number) for number in range(500)])
    stream = open_stream(opened, TIMES, "BTCUSDT")
    rows = [*stream.fetch(10)]
    orders_write([order(T0 + 2 * number + 1) for number in range(500)])
    while batch := stream.fetch(100):
        rows += batch
    assert [at for (at,) in rows] == [T0 + 2 * number for number in range(500)]


def test_a_writer_does_not_wait_for_a_stream(opened: list[RowStream]) -> None:
    orders_write([order(T0 + number) for number in range(500)])
    open_stream(opened, TIMES, "BTCUSDT").fetch(1)
    began = time.monotonic()
    orders_write([order(T0 + 1000)])
    assert time.monotonic() - began < 8


@pytest.mark.slow
def test_memory_does_not_grow_with_the_result(opened: list[RowStream]) -> None:
    def peak(count: int) -> int:
        stream = open_stream(opened, numbers(count))
        tracemalloc.start()
        rows = 0
        while batch := stream.fetch(1000):
            rows += len(batch)
        used = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert rows == count
        return used

    assert peak(200_000) < 2 * peak(5_000)


def test_the_first_row_does_not_wait_for_the_last(opened: list[RowStream]) -> None:
    began = time.monotonic()
    stream = open_stream(opened, numbers(50_000_000))
    assert len(stream.fetch(10)) == 10
    assert time.monotonic() - began < 3
    stream.close()
    assert time.monotonic() - began < 4, "closing has read the rest"


@MYSQL
def test_closing_ends_the_query_in_the_server(opened: list[RowStream]) -> None:
    stream = open_stream(opened, numbers(500_000_000, "abandoned"))
    stream.fetch(10)
    assert running("abandoned") == 1
    stream.close()
    wait_until(lambda: not running("abandoned"), 5, "the query has ended")


def test_closing_twice_is_harmless(opened: list[RowStream]) -> None:
    stream = open_stream(opened, numbers(10))
    stream.close()
    stream.close()
    with pytest.raises(Exception, match=r".*"):
        stream.fetch(1)


def test_a_silent_query_can_be_interrupted_from_another_thread(opened: list[RowStream]) -> None:
    """Opening already waits for the first row, so the stream is one that falls silent after some."""
    stream = open_stream(opened, f"SELECT i AS {MARKER} FROM ({numbers(10**11)}) n WHERE i < 20000 OR i + i = 3")
    ended: list[object] = []

    def fetch() -> None:
        try:
            while stream.fetch(1000):
                pass
            ended.append("all rows")
        except (Error, QueryTimeout) as error:
            ended.append(error)

    thread = threading.Thread(target=fetch, daemon=True)
    thread.start()
    time.sleep(0.5)
    assert thread.is_alive(), "the query was never silent"
    stream.interrupt()
    thread.join(2)
    assert [type(end) for end in ended] == [QueryTimeout]


@pytest.mark.parametrize("sql", [ENDLESS, numbers(10**12)])
def test_a_stream_beyond_its_time_is_ended(opened: list[RowStream], sql: str) -> None:
    began = time.monotonic()
    with pytest.raises(QueryTimeout):
        read_all(opened, sql, seconds=1)  # opening already waits for the first row
    assert 0.9 < time.monotonic() - began < 6


def test_a_stream_that_cannot_start_leaves_no_connection_behind(committed: None) -> None:
    before = connections()
    for _ in range(5):
        with pytest.raises(Error) as caught:
            RowStream("SELECT unknown FROM binance_liqs", [], 10)
        assert classify(caught.value) == "schema"
    if connection.vendor == "mysql":
        wait_until(lambda: connections() <= before, 10, "the connections are closed")


def connections() -> int:
    if connection.vendor == "sqlite":
        return 0
    return execute("SELECT COUNT(*) FROM information_schema.processlist")[0][0]


@MYSQL
def test_a_connection_lost_midway_is_an_error_and_no_end_of_the_rows(opened: list[RowStream]) -> None:
    stream = open_stream(opened, numbers(50_000_000, "lost"))
    stream.fetch(10)
    execute(f"KILL {stream.raw.thread_id()}")
    with pytest.raises(Error) as caught:
        drain(stream)  # some rows are on their way already
    assert classify(caught.value) in ("gone", "timeout")
