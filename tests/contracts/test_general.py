"""What is true of every path: methods, slashes, compression, and a database that is slow, wrong or somebody else's.

Rows D040, D058, D059 and D061, and the general part (A.0) of the contract.
"""

import gzip
import json
import logging
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.conf import settings as configured
from django.db import OperationalError, connection
from django.test import Client

from database import reading
from liqui import errors
from liquidations.schema import COLUMNS
from liquidations.table import table_profile_reset
from tests.backend import server_only
from tests.bulk import rows_fill
from tests.contracts.conftest import OUTSIDE_TABLE, InsertRows
from tests.factories import DAY, T0, order
from tests.live import wait_until

Ask = Callable[..., Any]
Write = Callable[..., Any]

WINDOW = {"symbol": "BTCUSDT", "start_timestamp": T0, "end_timestamp": T0 + DAY}
DATA_REQUESTS: list[tuple[str, dict[str, object]]] = [
    ("/api/liquidations", {"timeframe": "1h", **WINDOW}),
    ("/api/symbols", {}),
    ("/api/liquidation-orders", WINDOW),
    ("/api/liquidation-orders", {"symbol": "BTCUSDT", "limit": 5}),
    ("/api/liquidation-orders/stream", WINDOW),
]
PATHS = ["/api/liquidations", "/api/symbols", "/api/liquidation-orders", "/api/liquidation-orders/stream", "/health"]
UNAVAILABLE = (503, {"detail": "Database service unavailable"})


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("method", ["post", "put", "patch", "delete", "head", "options"])
def test_every_method_but_get_is_405_and_says_what_is_allowed(client: Client, path: str, method: str) -> None:
    response = getattr(client, method)(path)
    assert response.status_code == 405
    assert response.headers["Allow"] == "GET"
    if method != "head":
        assert response.json() == {"detail": "Method Not Allowed"}


@pytest.mark.parametrize("path", PATHS)
def test_a_trailing_slash_is_redirected_with_the_query_as_it_was(client: Client, path: str) -> None:
    response = client.get(f"{path}/?symbol=a%2Bb&x=%E5%B8%81")
    assert response.status_code == 307
    assert response.headers["Location"] == f"{path}?symbol=a%2Bb&x=%E5%B8%81"


@pytest.mark.parametrize(
    "path", ["/api", "/api/", "/api/liquidation", "/api/liquidations/x", "/api/symbols.json", "/x"]
)
def test_an_unknown_path_is_404_with_a_detail(client: Client, path: str) -> None:
    response = client.get(path)
    assert (response.status_code, response.content) == (404, b'{"detail":"Not Found"}')
    assert response.headers["Content-Type"] == "application/json"


@pytest.mark.parametrize("accept", ["application/x-ndjson", "text/html", "image/png", "nonsense", ""])
def test_the_answer_is_json_whatever_the_client_says_it_accepts(write: Write, ask: Ask, accept: str) -> None:
    write([order()])
    for path, parameters in DATA_REQUESTS[:4]:
        response = ask(path, headers={"Accept": accept}, format="csv", **parameters)
        assert (response.status_code, response.headers["Content-Type"]) == (200, "application/json")


def test_json_is_compact_utf8(write: Write, ask: Ask) -> None:
    write([order(symbol="币安人生USDT")])
    for path, parameters in DATA_REQUESTS[1:4]:
        content = ask(path, **{**parameters, "symbol": "币安人生USDT"}).content
        assert "币安人生USDT".encode() in content
        assert content == json.dumps(json.loads(content), separators=(",", ":"), ensure_ascii=False).encode()


def symbols_of_bytes(length: int) -> list[str]:
    """Names of which a JSON array has ``length`` bytes: each takes its letters, two quotes and a comma."""
    count, rest = divmod(length - 1, 13)
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    return [letters[at // 26] + letters[at % 26] + "X" * (8 + (at < rest)) for at in range(count)]


@pytest.mark.contract("D040")
@pytest.mark.parametrize(("length", "is_compressed"), [(999, False), (1000, True)])
def test_bodies_from_1000_bytes_are_gzipped_for_those_who_accept_it(
    write: Write, ask: Ask, length: int, is_compressed: bool
) -> None:
    write([order(symbol=name) for name in symbols_of_bytes(length)])
    plain = ask("/api/symbols")
    packed = ask("/api/symbols", headers={"Accept-Encoding": "deflate, gzip"})
    assert "Content-Encoding" not in plain.headers
    assert len(plain.content) == length
    assert packed.headers["Vary"] == "Accept-Encoding"
    assert packed.headers.get("Content-Encoding") == ("gzip" if is_compressed else None)
    assert (gzip.decompress(packed.content) if is_compressed else packed.content) == plain.content
    assert int(packed.headers["Content-Length"]) == len(packed.content)


@pytest.mark.contract("D040")
@pytest.mark.parametrize("accepted", ["", "identity", "br", "gzip;q=0", "deflate"])
def test_nothing_is_gzipped_for_those_who_do_not_accept_it(write: Write, ask: Ask, accepted: str) -> None:
    rows_fill(100)
    for path, parameters in DATA_REQUESTS[2:]:
        response = ask(path, headers={"Accept-Encoding": accepted}, **parameters)
        assert "Content-Encoding" not in response.headers
        assert response.getvalue()[:1] in (b"[", b"{")


@pytest.mark.contract("D040")
@pytest.mark.parametrize("count", [1, 1000])
def test_streams_are_gzipped_whatever_their_size(write: Write, ask: Ask, count: int) -> None:
    rows_fill(count)
    path, parameters = DATA_REQUESTS[4]
    response = ask(path, headers={"Accept-Encoding": "gzip"}, **parameters)
    assert (response.headers["Content-Encoding"], response.headers["Vary"]) == ("gzip", "Accept-Encoding")
    assert gzip.decompress(response.getvalue()) == ask(path, **parameters).getvalue()


# A database that is slow.


@pytest.fixture
def endless_table(write: Write, settings: Any) -> Iterator[str]:
    """A view is served whose rows take so long that a query over them would not end within the test."""
    write([order(T0 + at) for at in range(1000)])
    columns = ", ".join(f"liqs.{name}" for name in COLUMNS)
    if connection.vendor == "sqlite":
        endless = (
            f"SELECT {columns} FROM {configured.DB_LIQ_TABLENAME} AS liqs WHERE (WITH RECURSIVE counted(n) AS "
            "(SELECT 1 UNION ALL SELECT n + 1 FROM counted WHERE n < 1000000000) SELECT MAX(n) FROM counted "
            "WHERE n > liqs.original_quantity) > 0"
        )
    else:
        # By a column, or the list of symbols would be found by sleeping once for each symbol.
        endless = (
            f"SELECT {columns} FROM {configured.DB_LIQ_TABLENAME} AS liqs WHERE SLEEP(0.2 + 0 * original_quantity) = 0"
        )
    with connection.cursor() as cursor:
        cursor.execute("DROP VIEW IF EXISTS endless_liqs")
        cursor.execute(f"CREATE VIEW endless_liqs AS {endless}")
    settings.DB_LIQ_TABLENAME = "endless_liqs"
    table_profile_reset()
    yield "endless_liqs"
    with connection.cursor() as cursor:
        cursor.execute("DROP VIEW endless_liqs")
    settings.DB_LIQ_TABLENAME = configured.DB_LIQ_TABLENAME


@pytest.mark.contract("D058")
@pytest.mark.parametrize(("path", "parameters"), DATA_REQUESTS)
def test_a_query_over_its_time_limit_is_ended_in_the_server_and_answered_504(
    endless_table: str, ask: Ask, settings: Any, path: str, parameters: dict[str, object]
) -> None:
    settings.QUERY_TIMEOUT_SECONDS, settings.LONG_QUERY_TIMEOUT_SECONDS, settings.STREAM_TIMEOUT_SECONDS = 1, 2, 1
    # Pages, which the original answers with OFFSET, have the long limit.
    is_page = path.endswith("orders") and "limit" not in parameters
    limit = 2 if is_page else 1
    began = time.monotonic()
    response = ask(path, **parameters)
    assert (response.status_code, response.json()) == (504, {"detail": f"Query timeout after {limit} seconds"})
    assert time.monotonic() - began < limit + 5
    wait_until(lambda: queries_over(endless_table) == [], 5, "the query has ended in the server")
    # The connection goes on working.
    assert ask("/health").status_code == 200


@pytest.mark.contract("D058")
@server_only("SQLite has no locks that a reader would wait for")
def test_waiting_for_a_lock_counts_towards_the_time_limit(
    write: Write, ask: Ask, settings: Any, uncached: None
) -> None:
    write([order()])
    settings.QUERY_TIMEOUT_SECONDS = 1
    parameters = dict(DATA_REQUESTS[0][1])
    assert ask("/api/liquidations", **parameters).status_code == 200
    other = connection.copy()
    try:
        with other.cursor() as cursor:
            cursor.execute(f"LOCK TABLES {configured.DB_LIQ_TABLENAME} WRITE")
        response = ask("/api/liquidations", **parameters)
        assert (response.status_code, response.json()) == (504, {"detail": "Query timeout after 1 seconds"})
        wait_until(lambda: queries_over(configured.DB_LIQ_TABLENAME) == [], 5, "the query has ended in the server")
    finally:
        other.close()


def queries_over(table: str) -> list[str]:
    """Queries over the table that the server is running."""
    if connection.vendor == "sqlite":
        return []
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT info FROM information_schema.processlist WHERE db = DATABASE() AND id <> CONNECTION_ID() "
            "AND info LIKE %s",
            [f"%{table}%"],
        )
        return [info for (info,) in cursor.fetchall()]


# A database that is away, or has not what it should.


@pytest.mark.contract("D059")
@pytest.mark.parametrize(("path", "parameters"), DATA_REQUESTS)
@pytest.mark.parametrize("code", [2002, 2003, 2006, 2013, 1040, 1045, 1049])
def test_a_failed_connection_is_503_in_the_original_words(
    db: None, ask: Ask, monkeypatch: pytest.MonkeyPatch, path: str, parameters: dict[str, object], code: int
) -> None:
    def fails(*_: object) -> None:
        raise OperationalError(code, "Access denied for user 'root'@'10.0.0.1'")

    monkeypatch.setattr(reading.Reader, "rows", fails)
    response = ask(path, **parameters)
    assert (response.status_code, response.json()) == UNAVAILABLE


@pytest.mark.parametrize(("path", "parameters"), DATA_REQUESTS)
def test_a_missing_table_is_503_and_a_clear_line_in_the_log(
    transactional_db: None,
    ask: Ask,
    settings: Any,
    caplog: pytest.LogCaptureFixture,
    path: str,
    parameters: dict[str, object],
) -> None:
    settings.DB_LIQ_TABLENAME = "no_such_liqs"
    errors.last_logged.clear()
    with caplog.at_level(logging.ERROR):
        response = ask(path, **parameters)
    assert (response.status_code, response.json()) == UNAVAILABLE
    assert "table no_such_liqs does not exist" in caplog.text
    assert "manage.py liquidations_table --create" in caplog.text


@pytest.mark.parametrize("column", ["average_price", "symbol", "order_trade_time"])
def test_a_table_that_lacks_a_column_is_503_and_a_clear_line_in_the_log(
    insert_outside: InsertRows, ask: Ask, caplog: pytest.LogCaptureFixture, column: str
) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"ALTER TABLE {OUTSIDE_TABLE} RENAME COLUMN {column} TO something_else")
    errors.last_logged.clear()
    with caplog.at_level(logging.ERROR):
        responses = [ask(path, **parameters) for path, parameters in DATA_REQUESTS]
    assert [(response.status_code, response.json()) for response in responses] == [UNAVAILABLE] * len(responses)
    assert f"table {OUTSIDE_TABLE} lacks the column {column}" in caplog.text


def test_a_column_that_goes_away_while_serving_is_503_and_its_return_is_noticed(
    insert_outside: InsertRows, ask: Ask, uncached: None
) -> None:
    insert_outside([("BTCUSDT", "buy", None, None, 1, 1, 1, None, 1, 1, T0)])
    path, parameters = DATA_REQUESTS[0]
    assert ask(path, **parameters).status_code == 200
    with connection.cursor() as cursor:
        cursor.execute(f"ALTER TABLE {OUTSIDE_TABLE} RENAME COLUMN average_price TO something_else")
    assert ask(path, **parameters).status_code == 503
    with connection.cursor() as cursor:
        cursor.execute(f"ALTER TABLE {OUTSIDE_TABLE} RENAME COLUMN something_else TO average_price")
    assert ask(path, **parameters).status_code == 200


# A table that is somebody else's.


@pytest.mark.contract("D061")
def test_an_outside_table_is_served_and_left_as_it_is(insert_outside: InsertRows, ask: Ask) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"ALTER TABLE {OUTSIDE_TABLE} ADD COLUMN usd_size DECIMAL(20,2)")
        cursor.execute(f"CREATE INDEX idx_symbol_time ON {OUTSIDE_TABLE} (symbol, order_trade_time)")
    insert_outside(
        [
            ("btcusdt", "Sell", "LIMIT", "IOC", "0.5", "9", "10", "FILLED", "0.5", "0.5", T0),
            ("BTCUSDT", "SELL", None, None, None, None, "10", None, None, "1.5", T0),
            ("BTCUSDT", "sell", None, None, None, None, "10", None, None, "2", T0),
            ("BTCUSDT", None, None, None, None, None, "10", None, None, "2", T0),
            (None, "sell", None, None, None, None, "10", None, None, "2", T0),
        ]
    )
    before = table_definition()
    buckets = ask("/api/liquidations", timeframe="1h", **WINDOW).json()
    assert [(row["side"], row["cumulated_usd_size"]) for row in buckets] == [("sell", 40.0)]
    assert [name.upper() for name in ask("/api/symbols").json()] == ["BTCUSDT"]
    data = ask("/api/liquidation-orders", **WINDOW).json()["data"]
    # The symbol as it is stored, the side in lower case.
    assert sorted(row["symbol"] for row in data) == ["BTCUSDT", "BTCUSDT", "BTCUSDT", "btcusdt"]
    assert {row["side"] for row in data} == {"sell", None}
    assert len(ask("/api/liquidation-orders", symbol="BTCUSDT", limit=9).json()) == 3
    assert ask("/api/liquidation-orders/stream", **WINDOW).getvalue().count(b"\n") == 4
    assert ask("/health").status_code == 200
    assert table_definition() == before


def table_definition() -> list[Any]:
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            cursor.execute("SELECT sql FROM sqlite_master WHERE tbl_name = %s ORDER BY name", [OUTSIDE_TABLE])
        else:
            cursor.execute(f"SHOW CREATE TABLE {OUTSIDE_TABLE}")
        return list(cursor.fetchall())
