"""A list of requests sent at a fixed rate while orders are being written, and what that costs the database."""

import http.client
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np

from benchmarks.database import connect
from benchmarks.server import ROOT, BenchmarkFailed
from benchmarks.service import Place
from benchmarks.wrk import DIGITS
from tools.servers import PrivateMariaDB

CLIENTS = 16
TICKS_S = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Replay:
    """How a replay went: where answers came from, what clients waited, what the database has done meanwhile."""

    requests: int
    hits: int
    p50_ms: float
    p99_ms: float
    work: "Work"


@dataclass(frozen=True, slots=True)
class Work:
    """What a database server has done since it was started."""

    statements: int
    rows_read: int
    cpu_s: float

    def since(self, earlier: "Work") -> "Work":
        return Work(
            self.statements - earlier.statements, self.rows_read - earlier.rows_read, self.cpu_s - earlier.cpu_s
        )

    @classmethod
    def of(cls, database: PrivateMariaDB) -> "Work":
        with closing(connect(database, "")) as connection, connection.cursor() as cursor:
            cursor.execute(
                "SHOW GLOBAL STATUS WHERE variable_name = 'Com_select' OR variable_name LIKE 'Handler_read%'"
            )
            status = {name: int(value) for name, value in cursor.fetchall()}
        statements = status.pop("Com_select")
        # After the name in parentheses: state and ten numbers, then the ticks spent in the program and for it.
        fields = Path(f"/proc/{database.pid}/stat").read_text().rpartition(")")[2].split()
        return cls(statements, sum(status.values()), (int(fields[11]) + int(fields[12])) / TICKS_S)


def replay(place: Place, root: str, paths: Sequence[str], rate: float) -> Replay:
    """Send each request at its time, ``rate`` a second, whether or not earlier ones have been answered.

    A time is counted from the moment at which the request was due. Raises `BenchmarkFailed` about errors.
    """
    answers: list[tuple[str, float]] = []
    began = time.monotonic() + 0.1
    before = Work.of(place.database)
    clients = [
        threading.Thread(target=client, args=(root, paths, number, began, rate, answers)) for number in range(CLIENTS)
    ]
    for thread in clients:
        thread.start()
    for thread in clients:
        thread.join()
    work = Work.of(place.database).since(before)
    if len(answers) != len(paths):
        raise BenchmarkFailed(f"{len(paths) - len(answers)} of {len(paths)} requests of the mix were not answered")
    p50, p99 = np.percentile([seconds for _, seconds in answers], [50, 99]) * 1000
    return Replay(len(answers), sum(state in ("hit", "stale") for state, _ in answers), p50, p99, work)


def client(
    root: str, paths: Sequence[str], number: int, began: float, rate: float, answers: list[tuple[str, float]]
) -> None:
    """Every `CLIENTS`-th request over one connection."""
    with closing(http.client.HTTPConnection(urlsplit(root).netloc, timeout=60)) as connection:
        for position in range(number, len(paths), CLIENTS):
            due = began + position / rate
            time.sleep(max(due - time.monotonic(), 0))
            path = paths[position].replace(DIGITS, f"{int(due * 1000) % 10**6:06d}")
            connection.request("GET", path, headers={"Accept-Encoding": "gzip"})
            answer = connection.getresponse()
            answer.read()
            # A symbol of which nothing is known in a window is an answer too.
            if answer.status in (200, 404):
                answers.append((answer.getheader("X-Cache", ""), time.monotonic() - due))


@contextmanager
def orders_arriving(place: Place) -> Iterator[None]:
    """Orders of the present written by our own writer, a few a second, in a process of their own."""
    writer = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.cache_writer"],
        cwd=ROOT,
        env=place.variables,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert writer.stdin is not None
    assert writer.stdout is not None
    with writer, writer.stdin:
        writer.stdout.readline()
        yield
        if writer.poll() is not None:
            raise BenchmarkFailed("the writer of orders has ended")
