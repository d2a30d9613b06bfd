"""A whole service with a simulated exchange behind it, for what terminals do with it: embedded in one process, or two
web processes and a collector over MariaDB and Redis.
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.e2e.live.exchange import Exchange, ExchangeControl
from tests.e2e.live.programs import Program, Web
from tests.e2e.live.stages import ADMIT_ALL, web
from tests.e2e.test_outages import run
from tests.live import server_environment
from tests.streams.sockets import Client, client
from tools.servers import PrivateMariaDB, PrivateRedis, free_port

DATABASE, SHARED_DATABASE = "terminal", "terminal_shared"
OPTIONS = ("--seed", "7", "--symbols", "40", "--trades", "100", "--orders", "5")


@dataclass
class Market:
    """What runs. ``collector`` is the process that owns the venue's sockets, ``webs`` those that clients connect to."""

    exchange: ExchangeControl
    webs: Sequence[Web]
    collector: Program

    @property
    def web(self) -> Web:
        return self.webs[0]

    @contextmanager
    def client(self, path: str, number: int = 0, **options: Any) -> Iterator[Client]:
        """A socket at /api/v1/ws``path`` of one of the web processes."""
        port: Any = self.webs[number % len(self.webs)]
        with client(port, path, **options) as connected:
            yield connected

    def get(self, path: str, **parameters: str | int) -> Any:
        return self.web.get(path, **parameters)

    def upstream(self) -> set[str]:
        """Streams that some living connection of ours follows at the exchange."""
        open_ones = [each for each in self.exchange.get("connections") if each["closed_ms"] is None]
        return {stream for each in open_ones for stream in each["streams"]}


@contextmanager
def embedded_market(home: Path, options: Sequence[str] = OPTIONS, **variables: str) -> Iterator[Market]:
    """`manage.py serve` on SQLite, the collector in its own event loop."""
    base = server_environment(home) | ADMIT_ALL | variables
    exchange, port = Exchange(home, base, options), free_port()
    settings = base | exchange.addresses | {"FEED": "simulated", "PORT": str(port)}
    serve = Web("serve", home, ["manage.py", "serve"], settings, port)
    with exchange, serve:
        serve.wait_ready()
        exchange.control.wait_connected(1)
        exchange.control.tell("resume")
        yield Market(exchange.control, [serve], serve)


@contextmanager
def server_market(
    mariadb: PrivateMariaDB,
    redis: PrivateRedis,
    home: Path,
    options: Sequence[str] = OPTIONS,
    database: str = DATABASE,
    **variables: str,
) -> Iterator[Market]:
    """Two web processes and a collector, over a new ``database``: of two at a time each needs its own."""
    name = f"{database}_simulated"
    run(mariadb, f"DROP DATABASE IF EXISTS {name}", f"CREATE DATABASE {name} CHARACTER SET utf8mb4")
    base = server_environment(home) | ADMIT_ALL | variables
    exchange = Exchange(home, base, options)
    settings = base | exchange.addresses | {
        "FEED": "simulated",
        "DATABASE_URL": mariadb.url(database),
        "REDIS_URL": redis.url(),
        "CACHE_KEY_PREFIX": home.name,
    }  # fmt: skip
    webs = [web(home, f"web{number}", settings) for number in (1, 2)]
    collector = Program("collector", home, ["manage.py", "collect"], settings)
    with ExitStack() as stack:
        stack.enter_context(exchange)
        Program("migrate", home, ["manage.py", "migrate", "--verbosity", "0"], settings).run()
        Program("table", home, ["manage.py", "liquidations_table", "--create"], settings).run()
        for program in (*webs, collector):
            stack.enter_context(program)
        for each in webs:
            each.wait_ready()
        exchange.control.wait_connected(1)
        exchange.control.tell("resume")
        yield Market(exchange.control, webs, collector)
