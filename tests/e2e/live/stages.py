"""Everything from the exchange to the sockets as processes: on servers, and embedded in one."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.e2e.live.exchange import Exchange, ExchangeControl, Interval, Order, order_of
from tests.e2e.live.followers import Follower
from tests.e2e.live.programs import Program, Web
from tests.e2e.test_outages import connect, run
from tests.live import server_environment, wait_until
from tools.servers import PrivateMariaDB, PrivateRedis, PrivateServer, free_port

DATABASE = "live"
STREAM = "!forceOrder@arr"
# A following client of each kind on the loopback address: more than the limit for one address.
ADMIT_ALL = {"WS_MAX_PER_CLIENT": "10000"}
SETTLE_SECONDS = 90
COLUMNS = "symbol, side, order_trade_time, order_filled_accumulated_quantity, average_price"


@dataclass
class Stage:
    """What runs, and how the table is read: rows of `COLUMNS`."""

    exchange: ExchangeControl
    webs: Sequence[Web]
    programs: Sequence[Program]
    collectors: Sequence[Program]
    rows: Callable[[], Sequence[Sequence[Any]]]

    @property
    def ports(self) -> list[int]:
        return [web.port for web in self.webs]

    def stored(self) -> list[Order]:
        return [order_of(*row) for row in self.rows()]

    def check_alive(self) -> None:
        for program in self.programs:
            program.check_alive()

    def gaps(self, since_ms: int, until_ms: int) -> list[Interval]:
        """The ledger's, as the API tells them; one without an end ends at ``until_ms``."""
        answer = self.webs[0].get("/api/v1/gaps", stream=STREAM, since=since_ms, until=until_ms)
        assert answer.status_code == 200, answer.text
        return [Interval(gap["start_ms"], gap["end_ms"] or until_ms) for gap in answer.json()["gaps"]]

    def wait_stored(self, count: int) -> None:
        wait_until(lambda: len(self.rows()) >= count, SETTLE_SECONDS, f"{count} orders are in the table")

    def wait_seen(self, followers: Sequence[Follower], count: int) -> None:
        def all_seen() -> bool:
            return all(len(follower.orders) >= count for follower in followers)

        wait_until(all_seen, SETTLE_SECONDS, f"every client has seen {count} orders")


@dataclass
class ServerStage(Stage):
    """With a database server and a Redis that can be killed."""

    mariadb: PrivateServer
    redis: PrivateServer


@contextmanager
def server_stage(mariadb: PrivateMariaDB, redis: PrivateRedis, home: Path, seed: int) -> Iterator[ServerStage]:
    """Two collectors and two web processes over a MariaDB and a Redis, all up and connected; nothing is sent yet."""
    database = f"{DATABASE}_simulated"
    run(mariadb, f"DROP DATABASE IF EXISTS {database}", f"CREATE DATABASE {database} CHARACTER SET utf8mb4")
    base = server_environment(home) | ADMIT_ALL
    exchange = Exchange(home, base, exchange_options(seed))
    variables = base | exchange.addresses | {
        "FEED": "simulated",
        "DATABASE_URL": mariadb.url(DATABASE),
        "REDIS_URL": redis.url(),
        "CACHE_KEY_PREFIX": home.name,
    }  # fmt: skip
    webs = [web(home, f"web{number}", variables) for number in (1, 2)]
    collectors = [
        Program(f"collector{number}", home, ["manage.py", "collect", "--name", f"c{number}"], variables)
        for number in (1, 2)
    ]
    with ExitStack() as stack:
        stack.enter_context(exchange)
        Program("migrate", home, ["manage.py", "migrate", "--verbosity", "0"], variables).run()
        Program("table", home, ["manage.py", "liquidations_table", "--create"], variables).run()
        programs = [*webs, *collectors]
        for program in programs:
            stack.enter_context(program)
        for each in webs:
            each.wait_ready()
        exchange.control.wait_connected(len(collectors))
        yield ServerStage(
            exchange=exchange.control,
            webs=webs,
            programs=[exchange, *programs],
            collectors=collectors,
            rows=lambda: mariadb_rows(mariadb, database),
            mariadb=mariadb,
            redis=redis,
        )


def web(home: Path, name: str, variables: dict[str, str]) -> Web:
    port = free_port()
    serving = ["--port", str(port), "--ws", "websockets-sansio", "--ws-per-message-deflate", "false"]
    return Web(name, home, ["-m", "uvicorn", "liqui.asgi:application", *serving], variables, port)


def exchange_options(seed: int) -> list[str]:
    """Some fifty forced orders a second, in cascades, soon after its time has begun."""
    return ["--seed", str(seed), "--symbols", "300", "--trades", "0", "--orders", "150"]


def mariadb_rows(mariadb: PrivateMariaDB, database: str) -> Sequence[Sequence[Any]]:
    connection = connect(mariadb, database)
    try:
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT {COLUMNS} FROM binance_liqs")
            return cursor.fetchall()
    finally:
        connection.close()
