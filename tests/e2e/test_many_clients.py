"""Two hundred requests at once against a database server that takes fewer connections than that."""

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.backend import server_only
from tests.bulk import rows_fill
from tests.e2e.test_outages import DATA_REQUESTS, connect, run
from tests.live import ServerKind, serving, wait_until
from tools.servers import PrivateMariaDB

CLIENTS = 200

pytestmark = server_only("SQLite takes any number of connections")


@pytest.fixture
def crowded(private_mariadb: PrivateMariaDB, request: pytest.FixtureRequest) -> Iterator[PrivateMariaDB]:
    """A server that refuses the connection after ``request.param`` of them (error 1040)."""
    run(
        private_mariadb,
        f"SET GLOBAL max_connections = {request.param}",
        "DROP DATABASE IF EXISTS crowded",
        "CREATE DATABASE crowded CHARACTER SET utf8mb4",
    )
    yield private_mariadb
    run(private_mariadb, "SET GLOBAL max_connections = 151")


@pytest.mark.parametrize("crowded", [151, 40], indirect=True)
def test_two_hundred_parallel_requests_are_all_answered(
    crowded: PrivateMariaDB, server_kind: ServerKind, tmp_path: Path
) -> None:
    with serving(server_kind, tmp_path, DATABASE_URL=crowded.url("crowded")) as live:
        if server_kind == "wsgi":
            live.manage("migrate")
        live.manage("liquidations_table", "--create")
        rows = connect(crowded, "crowded")
        rows_fill(20_000, cursor=rows.cursor())
        refused_before = refused(rows)
        wait_until(lambda: live.get("/health").status_code == 200, 15, "it is healthy")

        def ask(number: int) -> tuple[str, int]:
            path, parameters = [*DATA_REQUESTS[:4], ("/health", {})][number % 5]
            return path, live.get(path, timeout=60, **parameters).status_code

        with ThreadPoolExecutor(CLIENTS) as clients:
            answers = Counter(clients.map(ask, range(CLIENTS)))
        assert {status for _, status in answers} == {200}, answers
        assert refused(rows) == refused_before
        assert "Too many connections" not in live.log
        rows.close()


def refused(rows: Any) -> int:
    """How many connections the server has refused because it had too many."""
    cursor = rows.cursor()
    cursor.execute("SHOW GLOBAL STATUS LIKE 'Connection_errors_max_connections'")
    return int(cursor.fetchone()[1])
