"""Time limits that the server enforces, and several statements that see one moment."""

import threading
import time

import pytest
from django.db import Error, OperationalError, connection, transaction

from database import reading
from database.errors import QueryTimeout, classify
from database.reading import Reader, reading_snapshot
from database.reading import reading as reading_singly
from liquidations.services import orders_write
from tests.factories import T0, order
from tests.liquidations.outside import MYSQL, SQLITE, execute
from tests.liquidations.processes import at_once

COUNT = "SELECT COUNT(*) FROM binance_liqs"
MARKER = "endless"
ENDLESS = (
    f"SELECT COUNT(*) AS {MARKER} FROM "
    "(WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n) AS endless_numbers"
    if "sqlite" in connection.settings_dict["ENGINE"]
    else f"SELECT COUNT(*) AS {MARKER} FROM seq_1_to_1000000 a, seq_1_to_1000000 b WHERE MD5(a.seq + b.seq) = 'x'"
)


def running(marker: str) -> int:
    """How many statements with this word the server is at, ours of asking apart."""
    return execute(
        "SELECT COUNT(*) FROM information_schema.processlist WHERE info LIKE %s AND id <> CONNECTION_ID()",
        [f"%{marker}%"],
    )[0][0]


@pytest.fixture(autouse=True)
def database(committed: None) -> None:
    """Rows are committed, and gone afterwards."""


@pytest.mark.parametrize("how", [reading_singly, reading_snapshot])
def test_a_query_beyond_its_time_is_ended_and_the_connection_goes_on(how: object) -> None:
    began = time.monotonic()
    with pytest.raises(QueryTimeout, match="after 1 seconds"), how(1) as reader:
        reader.rows(ENDLESS)
    assert 0.9 < time.monotonic() - began < 6
    with how(5) as reader:
        assert reader.value(COUNT) == 0
    orders_write([order()])
    with how(5) as reader:
        assert reader.value(COUNT) == 1


@MYSQL
@pytest.mark.parametrize("sql", [ENDLESS, f"SELECT SLEEP(20) AS {MARKER}"])
def test_a_query_beyond_its_time_is_gone_from_the_process_list(sql: str) -> None:
    seen: list[int] = []

    def watch() -> None:
        deadline = time.monotonic() + 3
        while time.monotonic() < deadline:
            seen.append(running(MARKER))
            time.sleep(0.1)

    def read() -> None:
        with pytest.raises(QueryTimeout), reading_singly(1) as reader:
            reader.rows(sql)

    at_once(read, watch)
    assert 1 in seen, "it never ran, so that it is gone proves nothing"
    assert seen[-5:] == [0] * 5


def test_all_statements_of_a_reader_share_the_time() -> None:
    with reading_singly(1) as reader:
        time.sleep(1)
        began = time.monotonic()
        with pytest.raises(QueryTimeout, match="after 1 seconds"):
            reader.rows(ENDLESS)
        assert time.monotonic() - began < 2


@SQLITE
def test_the_limit_does_not_outlive_the_reader() -> None:
    with reading_singly(1) as reader:
        reader.rows("SELECT 1")
    time.sleep(1.1)
    numbers = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 200000) SELECT COUNT(*) FROM n"
    assert execute(numbers) == [(200000,)]


def test_only_a_select_can_have_a_time_limit() -> None:
    if connection.vendor == "mysql":
        with pytest.raises(ValueError, match="only a SELECT"):
            reading.with_time_limit("DELETE FROM binance_liqs", 1)
    assert "SELECT" in reading.with_time_limit("SELECT 1", 0.0001)


@MYSQL
def test_both_servers_are_told_and_the_smallest_limit_is_not_no_limit() -> None:
    limited = reading.with_time_limit("SELECT 1", 0.001)
    assert limited == "/*M!100100 SET STATEMENT max_statement_time=0.001 FOR */ SELECT /*+ MAX_EXECUTION_TIME(1) */ 1"
    assert "MAX_EXECUTION_TIME(1500)" in reading.with_time_limit("SELECT 1", 1.5)


def test_errors_that_are_no_timeout_keep_their_kind() -> None:
    with pytest.raises(Error) as caught, reading_singly(5) as reader:
        reader.rows("SELECT unknown FROM binance_liqs")
    assert classify(caught.value) == "schema"


# One moment -------------------------------------------------------------------------------------------------------


def write_elsewhere(at: int) -> None:
    at_once(lambda: orders_write([order(at)]))


def test_a_snapshot_does_not_see_what_is_written_meanwhile() -> None:
    orders_write([order()])
    with reading_snapshot(10) as reader:
        assert reader.value(COUNT) == 1
        write_elsewhere(T0 + 1)
        assert reader.value(COUNT) == 1
    with reading_snapshot(10) as reader:
        assert reader.value(COUNT) == 2


def test_single_statements_see_what_was_written_before_each() -> None:
    with reading_singly(10) as reader:
        assert reader.value(COUNT) == 0
        write_elsewhere(T0)
        assert reader.value(COUNT) == 1


def test_a_snapshot_neither_waits_for_a_writer_nor_holds_one_up() -> None:
    with transaction.atomic():
        orders_write([order()])
        counts: list[int] = []

        def read() -> None:
            with reading_snapshot(10) as reader:
                counts.append(reader.value(COUNT))

        at_once(read)
        assert counts == [0]
    with reading_snapshot(10) as reader:
        reader.value(COUNT)
        began = time.monotonic()
        write_elsewhere(T0 + 1)
        assert time.monotonic() - began < 8


@MYSQL
def test_a_snapshot_leaves_the_isolation_of_writers_alone() -> None:
    for _ in range(2):
        with reading_snapshot(10) as reader:
            reader.value(COUNT)
        ((_, isolation),) = execute(
            "SHOW SESSION VARIABLES WHERE variable_name IN ('tx_isolation', 'transaction_isolation')"
        )
        assert isolation == "READ-COMMITTED"
        orders_write([order()])


@pytest.mark.parametrize("failure", [ZeroDivisionError, KeyboardInterrupt])
def test_a_snapshot_that_fails_ends_its_transaction(failure: type[BaseException]) -> None:
    def fail(reader: Reader) -> None:
        reader.value(COUNT)
        raise failure

    with pytest.raises(failure), reading_snapshot(10) as reader:
        fail(reader)
    write_elsewhere(T0)
    with reading_singly(10) as reader:
        assert reader.value(COUNT) == 1


def test_inside_a_transaction_a_snapshot_reads_along_and_ends_nothing() -> None:
    with transaction.atomic():
        orders_write([order()])
        with reading_snapshot(10) as reader:
            assert reader.value(COUNT) == 1
        assert connection.in_atomic_block
        transaction.set_rollback(True)
    assert execute(COUNT) == [(0,)]


@MYSQL
def test_a_connection_lost_midway_is_replaced_for_the_next_reader() -> None:
    orders_write([order()])
    mine = execute("SELECT CONNECTION_ID()")[0][0]

    def lose_connection(reader: Reader) -> None:
        reader.value(COUNT)
        at_once(lambda: execute(f"KILL {mine}"))
        reader.value(COUNT)

    with pytest.raises(OperationalError) as caught, reading_snapshot(10) as reader:
        lose_connection(reader)
    assert classify(caught.value) == "gone"
    with reading_snapshot(10) as reader:
        assert reader.value(COUNT) == 1
        assert reader.value("SELECT CONNECTION_ID()") != mine


@MYSQL
def test_a_query_that_is_killed_is_a_timeout() -> None:
    mine = execute("SELECT CONNECTION_ID()")[0][0]

    def kill() -> None:
        while not running(MARKER):
            time.sleep(0.05)
        execute(f"KILL QUERY {mine}")

    killer = threading.Thread(target=lambda: (kill(), connection.close()), daemon=True)
    killer.start()
    with pytest.raises(QueryTimeout), reading_singly(20) as reader:
        reader.rows(ENDLESS)
    killer.join(10)
