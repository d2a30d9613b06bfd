"""`manage.py collect` as a process of its own: killed, stopped, started twice, without its database."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import MySQLdb
import pytest

from streams.collecting.spool import Spool
from tests import live
from tests.backend import server_only
from tests.live import ROOT, server_environment, wait_until
from tests.streams.simulator.test_command import simulator
from tests.streams.sockets import client
from tools.servers import PrivateMariaDB, PrivateRedis, free_port

SECONDS = 30
MB = 1 << 20


class Collecting:
    """A collector process and what it has printed."""

    def __init__(self, home: Path, *options: str, **variables: str) -> None:
        self.log = home / "collector.log"
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "manage.py", "collect", *options],
                cwd=ROOT,
                env=server_environment(home) | {"FEED": "simulated"} | variables,
                stdout=log,
                stderr=log,
            )

    @property
    def text(self) -> str:
        return self.log.read_text(errors="replace")

    def says(self, what: str) -> None:
        wait_until(lambda: what in self.text or self.process.poll() is not None, SECONDS, f"{what}: {self.log}")
        assert what in self.text, self.text

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(SECONDS)


@contextmanager
def collecting(home: Path, *options: str, **variables: str) -> Iterator[Collecting]:
    collector = Collecting(home, *options, **variables)
    try:
        yield collector
    finally:
        collector.process.kill()
        collector.process.wait()


@pytest.fixture
def exchange(tmp_path: Path) -> Iterator[dict[str, str]]:
    """The variables that name a simulated exchange with twenty orders a second."""
    with simulator(tmp_path, "--orders", "20", "--trades", "0", "--symbols", "50") as (_, port):
        yield {"BINANCE_WS_BASE_URL": f"ws://127.0.0.1:{port}", "BINANCE_API_BASE_URL": f"http://127.0.0.1:{port}"}


def test_a_second_one_of_the_same_name_is_refused_and_sigterm_ends_it_with_0(
    committed: None, tmp_path: Path, exchange: dict[str, str]
) -> None:
    url = suffixed(live.tests_database_url())
    with collecting(tmp_path, DATABASE_URL=url, **exchange) as first:
        first.says("connected to")
        with collecting(tmp_path, DATABASE_URL=url, **exchange) as second:
            second.says("another process collects as 'collector'")
            assert second.process.wait(SECONDS) == 1
        assert first.stop() == 0


def suffixed(url: str) -> str:
    """A URL from which FEED=simulated makes a database that nobody else uses: it need not exist."""
    return f"{url.removesuffix('.sqlite3')}_none.sqlite3" if url.startswith("sqlite") else f"{url}_none"


def test_what_a_killed_collector_had_received_is_in_its_spool(tmp_path: Path, exchange: dict[str, str]) -> None:
    # Nothing listens there: the database is away from the first moment on.
    away = {"DATABASE_URL": f"mysql://nobody@127.0.0.1:{free_port()}/nowhere"}
    folder = tmp_path / "spool" / "collector"
    with collecting(tmp_path, **away, **exchange) as collector:
        collector.says("orders wait in the spool")
        wait_until(lambda: sum(path.stat().st_size for path in folder.glob("*.spool")) > 2000, SECONDS, "orders")
        wait_until((folder / "coverage.json").exists, SECONDS, "the ledger")
        collector.process.kill()
        collector.process.wait()
    assert Spool(folder, MB).pending >= 5
    # Also the time that it covered, which the database was never told.
    assert json.loads((folder / "coverage.json").read_text())[0]["stream"] == "!forceOrder@arr"


def test_without_the_exchange_one_line_says_why_and_it_keeps_trying(tmp_path: Path) -> None:
    nowhere = {"BINANCE_WS_BASE_URL": f"ws://127.0.0.1:{free_port()}", "BINANCE_API_BASE_URL": "http://127.0.0.1:9"}
    home = {"DATABASE_URL": f"sqlite:///{tmp_path}/none.sqlite3"}
    with collecting(tmp_path, "--hasten", "50", FEED="live", **nowhere, **home) as collector:
        collector.says("connection refused")
        time.sleep(1)
        assert collector.text.count("connection refused: nothing listens there") <= 2  # the stream's, and the list's
        assert collector.process.poll() is None
        collector.process.send_signal(signal.SIGHUP)
        assert collector.stop() == 0


@pytest.mark.parametrize(
    ("options", "feed", "message"),
    [
        ([], "none", "FEED=none collects nothing"),
        (["--shard", "3/2"], "live", "is not i/n"),
        (["--name", "../x"], "live", "letters, digits"),
    ],
)
def test_what_cannot_be_is_refused_in_words(tmp_path: Path, options: list[str], feed: str, message: str) -> None:
    with collecting(tmp_path, *options, FEED=feed) as collector:
        assert collector.process.wait(SECONDS) != 0
        assert message in collector.text


@pytest.fixture
def query(private_mariadb: PrivateMariaDB) -> Callable[[str], Any]:
    """Asks the private server for one value of the simulated database; None while it is away."""

    def ask(sql: str) -> Any:
        try:
            connection = MySQLdb.connect(host=private_mariadb.host, port=private_mariadb.port, user="root")
            with connection.cursor() as cursor:
                cursor.execute(sql.format(db="collected_simulated"))
                return (cursor.fetchone() or [None])[0]
        except MySQLdb.Error:
            return None

    return ask


def database_made(home: Path, query: Callable[[str], Any], variables: dict[str, str]) -> None:
    """The empty database that ``variables`` name, with its tables."""
    query("DROP DATABASE IF EXISTS {db}")
    query("CREATE DATABASE {db} CHARACTER SET utf8mb4")
    environment = server_environment(home) | {"FEED": "simulated"} | variables
    for command in (["migrate", "--verbosity", "0"], ["liquidations_table", "--create"]):
        subprocess.run([sys.executable, "manage.py", *command], cwd=ROOT, env=environment, check=True)


@pytest.fixture
def thawed(private_mariadb: PrivateMariaDB) -> Iterator[PrivateMariaDB]:
    """It goes on afterwards, whatever becomes of the test."""
    yield private_mariadb
    private_mariadb.resume()


@server_only("a private database server is frozen")
@pytest.mark.django_db
def test_while_the_database_is_frozen_orders_go_on_without_numbers_and_come_again_with_them(
    tmp_path: Path,
    exchange: dict[str, str],
    thawed: PrivateMariaDB,
    private_redis: PrivateRedis,
    query: Callable[[str], Any],
) -> None:
    variables = {"DATABASE_URL": thawed.url("collected"), "REDIS_URL": private_redis.url(), **exchange}
    database_made(tmp_path, query, variables)
    with (
        live.serving("asgi", tmp_path, FEED="simulated", **variables) as server,
        collecting(tmp_path, **variables) as collector,
        client(server, "/liquidations") as socket,
    ):
        assert socket.next("liquidation_order")["sequence"] is not None
        thawed.pause()
        early: list[str] = []
        # What was committed before may still come.
        while len(early) < 20:
            order = socket.next("liquidation_order")
            early += [seen(order)] if order["sequence"] is None else []
        folder = tmp_path / "spool" / "collector"
        # Those of a slow start may be among the early ones, and be stored by now.
        wait_until(lambda: any(path.stat().st_size for path in folder.glob("*.spool")), 20, "orders wait in files")
        thawed.resume()
        numbered: list[str] = []
        while not set(early) <= set(numbered):
            order = socket.next("liquidation_order")
            numbered += [seen(order)] if order["sequence"] is not None else []
        assert len(numbered) == len(set(numbered))
        assert collector.stop() == 0
    assert query("SELECT MAX(sequence) - COUNT(*) FROM {db}.stream_outbox") == 0
    assert query("SELECT COUNT(*) - (SELECT COUNT(*) FROM {db}.stream_outbox) FROM {db}.binance_liqs") == 0


def seen(frame: dict[str, Any]) -> str:
    """What a client tells orders apart by."""
    data = frame["data"]
    return " ".join(str(data[key]) for key in ("symbol", "side", "timestamp", "quantity", "avgPrice"))


@server_only("a private database server is killed")
def test_nothing_is_lost_when_database_and_collector_are_killed_in_turn(
    tmp_path: Path, exchange: dict[str, str], private_mariadb: PrivateMariaDB, query: Callable[[str], Any]
) -> None:
    variables = {"DATABASE_URL": private_mariadb.url("collected"), **exchange}
    database_made(tmp_path, query, variables)
    orders = "SELECT COUNT(*) FROM {db}.binance_liqs"
    folder = tmp_path / "spool" / "collector"
    with collecting(tmp_path, **variables) as collector:
        wait_until(lambda: (query(orders) or 0) > 10, SECONDS, "orders are stored")
        private_mariadb.kill()
        collector.says("orders wait in the spool")
        size = sum(path.stat().st_size for path in folder.glob("*.spool"))
        wait_until(
            lambda: sum(path.stat().st_size for path in folder.glob("*.spool")) > size + 2000, SECONDS, "more wait"
        )
        collector.process.kill()
        collector.process.wait()
    waiting = Spool(folder, MB).pending
    private_mariadb.start()
    before = query(orders)
    with collecting(tmp_path, **variables) as collector:
        wait_until(lambda: query(orders) > before + waiting, SECONDS, "the spool is replayed")
        assert collector.stop() == 0
    assert list(folder.glob("*.spool")) == []
    # Each once, and numbered without a hole.
    assert query("SELECT MAX(sequence) - COUNT(*) FROM {db}.stream_outbox") == 0
    assert query("SELECT COUNT(*) - (SELECT COUNT(*) FROM {db}.stream_outbox) FROM {db}.binance_liqs") == 0
