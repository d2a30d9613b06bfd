"""Failures of a database, told apart by what the caller should do."""

import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from django.db import DatabaseError, Error, OperationalError, connection

from database.errors import QueryTimeout, classify, is_busy
from database.retrying import retry_when_busy


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        *[(number, "gone") for number in (2002, 2003, 2006, 2013, 1040, 1045, 1049, 1053, 1226)],
        *[(number, "timeout") for number in (1969, 3024, 1317)],
        *[(number, "schema") for number in (1146, 1054, 1176, 1142)],
        *[(number, "busy") for number in (1205, 1213)],
        *[(number, "other") for number in (1062, 1264, 1406, 1064)],
    ],
)
def test_mysql_errors_are_told_apart_by_number(number: int, kind: str) -> None:
    assert classify(OperationalError(number, "whatever the server says, even interrupted")) == kind


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("interrupted", "timeout"),
        ("no such table: binance_liqs", "schema"),
        ("no such column: average_price", "schema"),
        ("no such index: liqui_window", "schema"),
        ("database is locked", "busy"),
        ("unable to open database file", "gone"),
        ("file is not a database", "gone"),
        ("database disk image is malformed", "gone"),
        ("disk I/O error", "gone"),
        ("UNIQUE constraint failed", "other"),
        ("", "other"),
    ],
)
def test_sqlite_errors_are_told_apart_by_text(text: str, kind: str) -> None:
    assert classify(OperationalError(text)) == kind
    assert classify(OperationalError()) == "other"


def raised(job: Callable[[], object]) -> BaseException:
    with pytest.raises(Error) as caught:
        job()
    return caught.value


def execute(sql: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql)


@pytest.mark.parametrize("sql", ["SELECT 1 FROM nowhere", "SELECT unknown FROM binance_liqs"])
def test_what_the_server_really_says_of_a_missing_table_or_column(transactional_db: None, sql: str) -> None:
    assert classify(raised(lambda: execute(sql))) == "schema"


def test_an_index_that_is_no_longer_there_is_a_matter_of_schema(transactional_db: None) -> None:
    hint = "INDEXED BY gone" if connection.vendor == "sqlite" else "FORCE INDEX (gone)"
    assert classify(raised(lambda: execute(f"SELECT symbol FROM binance_liqs {hint}"))) == "schema"


@pytest.mark.skipif("connection.vendor != 'sqlite'", reason="about SQLite's files")
def test_what_sqlite_really_says_of_locks_and_files(tmp_path: Path) -> None:
    path = tmp_path / "database"
    one, other = (sqlite3.connect(path, timeout=0, isolation_level=None) for _ in range(2))
    one.execute("BEGIN IMMEDIATE")
    with pytest.raises(sqlite3.OperationalError) as locked:
        other.execute("BEGIN IMMEDIATE")
    assert classify(locked.value) == "busy"
    with pytest.raises(sqlite3.OperationalError) as missing:
        sqlite3.connect(tmp_path / "no folder" / "database")
    assert classify(missing.value) == "gone"
    (tmp_path / "text").write_text("no database at all" * 100)
    with pytest.raises(sqlite3.DatabaseError) as unreadable:
        sqlite3.connect(tmp_path / "text").execute("SELECT * FROM sqlite_master")
    assert classify(unreadable.value) == "gone"


def test_only_a_databases_own_error_is_busy() -> None:
    assert is_busy(OperationalError(1213, "Deadlock found"))
    assert is_busy(OperationalError("database is locked"))
    assert not is_busy(OperationalError(1062, "Duplicate entry"))
    assert not is_busy(ValueError("database is locked"))
    assert not is_busy(QueryTimeout(3))


def test_a_timeout_says_how_long_it_waited() -> None:
    assert str(QueryTimeout(30)) == "Query timeout after 30 seconds"


def test_what_lost_against_another_transaction_is_tried_again_and_anything_else_is_not() -> None:
    calls: list[Exception] = []

    @retry_when_busy
    def fails_with(first: Exception) -> str:
        calls.append(first)
        if len(calls) == 1:
            raise first
        return "done"

    assert fails_with(OperationalError(1213, "Deadlock found")) == "done"
    assert len(calls) == 2
    calls.clear()
    with pytest.raises(DatabaseError):
        fails_with(DatabaseError(1062, "Duplicate entry"))
    assert len(calls) == 1
