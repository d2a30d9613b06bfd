"""A database that is away, dies, freezes or comes back, and what a server that is never restarted answers meanwhile."""

import json
import shutil
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.backend import IS_SQLITE, server_only
from tests.bulk import rows_fill
from tests.factories import DAY, T0
from tests.live import KINDS, LiveServer, ServerKind, serving, wait_until
from tests.streams.sockets import client
from tools.servers import PrivateMariaDB

WINDOW = {"symbol": "BTCUSDT", "start_timestamp": T0, "end_timestamp": T0 + 30 * DAY}
DATA_REQUESTS: list[tuple[str, dict[str, Any]]] = [
    ("/api/liquidations", {"timeframe": "1h", **WINDOW}),
    ("/api/symbols", {}),
    ("/api/liquidation-orders", WINDOW),
    ("/api/liquidation-orders", {"symbol": "BTCUSDT", "limit": 5}),
    ("/api/liquidation-orders/stream", WINDOW),
]
ROWS = 50_000
# Not at once where a connection falls silent midway, but within this time whatever happens.
BOUND_S = 12

private = server_only("a private MariaDB is used: once, in the run on a server")


class Database:
    """A database that can be taken away and brought back."""

    def __init__(self, url: str, bring: Callable[[], None]) -> None:
        self.url, self.bring = url, bring


@pytest.fixture
def absent_database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """One that is not there yet: a folder that does not exist, or a server that has not been started."""
    if IS_SQLITE:
        folder = tmp_path / "absent"
        yield Database(f"sqlite:///{folder}/liqui.sqlite3", folder.mkdir)
        return
    server: PrivateMariaDB = request.getfixturevalue("private_mariadb")
    run(server, "DROP DATABASE IF EXISTS absent", "CREATE DATABASE absent CHARACTER SET utf8mb4")
    server.stop()
    yield Database(server.url("absent"), server.start)
    server.start()


def run(server: PrivateMariaDB, *statements: str) -> None:
    connection = connect(server)
    for statement in statements:
        connection.cursor().execute(statement)
    connection.close()


def connect(server: PrivateMariaDB, database: str = "") -> Any:
    import MySQLdb

    return MySQLdb.connect(
        host=server.host, port=server.port, user="root", database=database, charset="utf8mb4", autocommit=True
    )


def assert_unavailable(live: LiveServer, within_s: float = BOUND_S) -> None:
    began = time.monotonic()
    with ThreadPoolExecutor(len(DATA_REQUESTS)) as clients:
        answers = list(clients.map(lambda request: live.get(request[0], **request[1]), DATA_REQUESTS))
    assert time.monotonic() - began < within_s
    for response in answers:
        assert (response.status_code, response.json()) == (503, {"detail": "Database service unavailable"})
        assert response.headers["Content-Type"] == "application/json"


def assert_unhealthy(live: LiveServer) -> None:
    began = time.monotonic()
    response = live.get("/health")
    assert time.monotonic() - began < BOUND_S
    body = response.json()
    assert response.status_code == 503
    assert body["status"] == body["components"]["database"]["status"] == "unhealthy"
    assert body["components"]["database"]["message"].startswith("Database connection failed: ")


def assert_told_to_come_later(live: LiveServer) -> None:
    """Whoever wants a socket is not at fault, and may try again."""
    for path in ("/liquidations/BTCUSDT", "/liquidations?since=1"):
        with client(live, path) as socket:
            error = socket.next("error")
            assert error["message"] == "Liquidations cannot be read now; try again"
            assert socket.closed() == (1013, error["message"])


def is_healthy(live: LiveServer) -> bool:
    return live.get("/health").status_code == 200


@pytest.mark.contract("D055")
@pytest.mark.contract("D059")
def test_without_its_database_a_server_boots_and_recovers_when_the_database_comes(
    absent_database: Database, server_kind: ServerKind, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    with serving(server_kind, home, DATABASE_URL=absent_database.url, CACHE_ENABLED="0") as live:
        assert_unhealthy(live)
        assert_unavailable(live)
        if server_kind == "asgi":
            assert_told_to_come_later(live)
        absent_database.bring()
        if server_kind == "wsgi":
            # Its deployment migrates; `serve` does that itself, as soon as it can.
            live.manage("migrate")
        else:
            wait_until(lambda: "Database connection failed" not in live.get("/health").text, 15, "it has connected")
        live.manage("liquidations_table", "--create")
        wait_until(lambda: is_healthy(live), 15, "it is healthy")
        assert live.get("/api/symbols").json() == []
        assert live.get("/api/liquidation-orders", symbol="BTCUSDT", limit=1).status_code == 404


@pytest.fixture(scope="module", params=KINDS)
def frail(
    request: pytest.FixtureRequest,
    session_mariadb: PrivateMariaDB,
    django_db_setup: None,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[LiveServer]:
    """A server over a private MariaDB with rows in it."""
    session_mariadb.start()
    name = f"frail_{request.param}"
    # What is committed survives a kill, unlike by the fast setting that the tests' servers start with.
    run(
        session_mariadb,
        "SET GLOBAL innodb_flush_log_at_trx_commit = 1",
        f"CREATE DATABASE {name} CHARACTER SET utf8mb4",
    )
    home = tmp_path_factory.mktemp(name)
    limits = {
        "QUERY_TIMEOUT_SECONDS": "2",
        "LONG_QUERY_TIMEOUT_SECONDS": "2",
        "STREAM_TIMEOUT_SECONDS": "20",
        "CACHE_ENABLED": "0",
    }
    with serving(request.param, home, DATABASE_URL=session_mariadb.url(name), **limits) as live:
        if request.param == "wsgi":
            live.manage("migrate")
        live.manage("liquidations_table", "--create")
        rows = connect(session_mariadb, name)
        rows_fill(ROWS, cursor=rows.cursor())
        rows.close()
        wait_until(lambda: live.get("/api/symbols").text == '["BTCUSDT"]', 15, "it serves")
        yield live
    shutil.rmtree(home, ignore_errors=True)


@private
@pytest.mark.contract("D059")
def test_a_database_that_is_killed_is_503_at_once_and_its_return_needs_no_restart(
    frail: LiveServer, private_mariadb: PrivateMariaDB
) -> None:
    private_mariadb.kill()
    assert_unavailable(frail, within_s=3)
    assert_unhealthy(frail)
    private_mariadb.start()
    wait_until(lambda: is_healthy(frail), 20, "it is healthy again")
    for path, parameters in DATA_REQUESTS:
        assert frail.get(path, **parameters).status_code == 200


@private
@pytest.mark.contract("D038")
def test_a_database_that_is_killed_midway_ends_the_stream_with_a_line_without_internals(
    frail: LiveServer, private_mariadb: PrivateMariaDB
) -> None:
    with httpx.stream("GET", f"{frail.root}/api/liquidation-orders/stream", params=WINDOW, timeout=30) as response:
        chunks = response.iter_bytes()
        content = next(chunks)
        private_mariadb.kill()
        content += b"".join(chunks)
    *rows, last = content.splitlines()
    assert response.status_code == 200
    assert json.loads(last) == {"error": "Streaming error: Database service unavailable"}
    times = [json.loads(row)["order_trade_time"] for row in rows]
    assert times == [T0 + 1000 * at for at in range(ROWS - 1, ROWS - 1 - len(rows), -1)]


@private
@pytest.mark.contract("D055")
def test_a_database_that_freezes_is_answered_in_bounded_time(
    frail: LiveServer, private_mariadb: PrivateMariaDB
) -> None:
    wait_until(lambda: is_healthy(frail), 20, "it is healthy")
    assert frail.get("/api/symbols").status_code == 200
    private_mariadb.pause()
    try:
        assert_unhealthy(frail)
        assert_unavailable(frail)
    finally:
        private_mariadb.resume()
    wait_until(lambda: is_healthy(frail), 20, "it is healthy again")
    assert frail.get("/api/symbols").json() == ["BTCUSDT"]
