"""The private MariaDB of a benchmark, sized for its table, and connections to it."""

from collections.abc import Iterable
from contextlib import closing
from typing import Any

import MySQLdb

from benchmarks.machine import available_bytes
from tools.servers import PrivateMariaDB

GIB = 1 << 30


def private_server() -> PrivateMariaDB:
    """Not started yet: with a buffer pool that holds the tables where memory allows, and a tmpdir of its own."""
    server = PrivateMariaDB()
    temporary = server.folder / "tmp"
    temporary.mkdir()
    server.options = [
        f"--innodb-buffer-pool-size={pool_bytes()}",
        "--innodb-log-file-size=512M",
        f"--tmpdir={temporary}",
        "--local-infile=1",
    ]
    return server


def pool_bytes() -> int:
    return min(max(available_bytes() // 4, GIB // 4), 3 * GIB)


def database_create(server: PrivateMariaDB, name: str) -> None:
    execute(server, "", [f"CREATE DATABASE {name} CHARACTER SET utf8mb4"])


def database_drop(server: PrivateMariaDB, name: str) -> None:
    execute(server, "", [f"DROP DATABASE {name}"])


def execute(server: PrivateMariaDB, database: str, statements: Iterable[str]) -> None:
    with closing(connect(server, database)) as connection, connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


def connect(server: PrivateMariaDB, database: str, **options: Any) -> Any:
    return MySQLdb.connect(
        host=server.host,
        port=server.port,
        user="root",
        database=database,
        charset="utf8mb4",
        local_infile=True,
        **options,
    )


def version(server: PrivateMariaDB) -> str:
    with closing(connect(server, "")) as connection:
        return str(connection.get_server_info())


def run_script(server: PrivateMariaDB, database: str, sql: str) -> None:
    """Run the statements that `liquidations_table --check` prints: each ends with ";" at the end of a line."""
    statements = "\n".join(line for line in sql.splitlines() if not line.startswith("--")).split(";\n")
    execute(server, database, [text for statement in statements if (text := statement.strip().rstrip(";"))])
