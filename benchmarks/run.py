"""A whole run: tables filled, bars built, everything measured on a smaller and on a larger table."""

import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks import machine
from benchmarks.database import connect, database_create, database_drop, private_server, run_script, version
from benchmarks.market import END_MS, orders_generate
from benchmarks.measure import Row
from benchmarks.naive import Original
from benchmarks.options import Options
from benchmarks.server import BenchmarkFailed, Server, environment, manage
from benchmarks.table import TABLE, recording_write, table_fill
from benchmarks.works import ODD_START, Bench, Effort
from tools.servers import PrivateMariaDB

WARM_UP = 8  # requests, so that each of the worker's threads has its connection


@dataclass
class Result:
    """What was measured, and on what."""

    options: Options
    description: str
    load: float  # before the run: other programs' work
    rows: list[Row] = field(default_factory=list)
    small: list[Row] = field(default_factory=list)
    minutes: float = 0


def bench_run(options: Options) -> Result:
    """Measure everything; takes about a quarter of an hour. Raises `BenchmarkFailed`."""
    if time.time() * 1000 < END_MS:
        raise BenchmarkFailed(
            f"the clock is before the end of the orders ({END_MS} ms): there would be bars for a part"
        )
    began, load = time.monotonic(), machine.load()
    with private_server() as database:
        result = Result(options, machine.description(version(database)), load)
        result.small = table_measure(database, "smaller", options.small_rows, options.effort)
        result.rows = table_measure(database, "larger", options.rows, options.effort)
        result.rows += imports_measure(database, options.import_rows)
    result.minutes = (time.monotonic() - began) / 60
    return result


def table_measure(database: PrivateMariaDB, name: str, rows: int, effort: Effort) -> list[Row]:
    variables = environment(database.folder / name, database.url(name))
    with stage(f"{rows:,} orders made and loaded, with the collector's five indexes"):
        table_make(database, name, rows)
    with stage("bars built"):
        measured = [bars_build(variables, rows)]
    with stage("our answers and the original's"), benching(database, name, variables, effort) as bench:
        measured = [*bench.rows(), *measured]
    with stage("the SQL of liquidations_table --check run"):
        run_script(database, name, manage(variables, "liquidations_table", "--check"))
    with stage("our answers after it"), benching(database, name, variables, effort) as bench:
        position = [row.work.startswith(ODD_START) for row in measured].index(True)
        measured.insert(position + 1, bench.odd_start("after the SQL of --check", goal=600))
    database_drop(database, name)
    return measured


def table_make(database: PrivateMariaDB, name: str, rows: int) -> None:
    database_create(database, name)
    with closing(connect(database, name)) as connection:
        table_fill(connection, orders_generate(rows), database.folder)


def bars_build(variables: dict[str, str], rows: int) -> Row:
    manage(variables, "migrate", "--verbosity", "0")
    began = time.perf_counter()
    manage(variables, "liquidation_bars", "build")
    return Row("bars of the whole table built", "rows/s", rows / (time.perf_counter() - began), amount=rows)


@contextmanager
def benching(database: PrivateMariaDB, name: str, variables: dict[str, str], effort: Effort) -> Iterator[Bench]:
    with Server(variables) as server, closing(connect(database, name, autocommit=True)) as connection:
        for _ in range(WARM_UP):
            server.get("/api/symbols")
        yield Bench(server, Original(connection), effort)


def imports_measure(database: PrivateMariaDB, rows: int) -> list[Row]:
    """A recorder's CSV into fresh tables, from the command's start to its end."""
    path = database.folder / "recording.csv"
    recording_write(path, orders_generate(rows, days=30, seed=8))
    database_create(database, "imported")
    sqlite = database.folder / "imported.sqlite3"
    places = {"MariaDB": database.url("imported"), "SQLite": f"sqlite:///{sqlite}"}
    measured = []
    for place, url in places.items():
        with stage(f"{rows:,} orders imported into {place}"):
            measured.append(import_measure(f"import of a recorder's CSV into {place}", path, rows, url))
    return measured


def import_measure(work: str, path: Path, rows: int, url: str) -> Row:
    variables = environment(path.with_name("importer"), url)
    manage(variables, "migrate", "--verbosity", "0")
    manage(variables, "liquidations_table", "--create")
    began = time.perf_counter()
    summary = manage(variables, "import_liquidations", str(path))
    rate = rows / (time.perf_counter() - began)
    stored = manage(variables, "shell", "--no-imports", "--command", COUNT).strip()
    if stored != str(rows):
        raise BenchmarkFailed(f"{work}: {stored} of {rows} orders are in the table\n{summary}")
    return Row(work, "rows/s", rate, goal=25_000)


COUNT = f"""from django.db import connection
with connection.cursor() as cursor:
    cursor.execute("SELECT COUNT(*) FROM {TABLE}")
    print(cursor.fetchone()[0])"""


@contextmanager
def stage(what: str) -> Iterator[None]:
    """Say what was done and how long it took, on stderr: the table alone goes to stdout."""
    began = time.monotonic()
    yield
    print(f"{time.monotonic() - began:7.1f} s  {what}", file=sys.stderr, flush=True)
