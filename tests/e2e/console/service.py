"""The service with people who may sign in, an exchange whose time stands still, and orders of known times."""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.e2e.live.exchange import Exchange, ExchangeControl
from tests.e2e.live.stages import exchange_options
from tests.e2e.test_outages import run
from tests.live import LiveServer, server_environment
from tools.programs import Program
from tools.servers import PrivateMariaDB, PrivateRedis

ROLES = ("viewer", "operator", "administrator")
PASSWORD = "correct horse battery staple"
# A symbol is whatever stands in somebody's table. liqui spells it in upper case, in which this would still run, and
# fail as a script error, each of which is seen.
SCRIPT_SYMBOL = "<SVG/ONLOAD=ALERT()>"
MAKE_PEOPLE = f"""
from django.contrib.auth.models import Group, User
for role in {ROLES!r}:
    User.objects.create_user(role, password={PASSWORD!r}).groups.add(Group.objects.get(name=role))
User.objects.create_user("nobody", password={PASSWORD!r})
"""
MAKE_ORDERS = f"""
from liquidations.services import orders_write
from tests.factories import HOUR, T0, order
hours = [T0 + number * HOUR for number in range(120)]
orders_write([order(at=at, quantity=number + 1) for number, at in enumerate(hours)])
orders_write([order(at=at, symbol="ETHUSDT", side="BUY", average_price="2300.5") for at in hours])
orders_write([order(symbol={SCRIPT_SYMBOL!r})])
"""


@dataclass(frozen=True)
class Console:
    """``exchange`` is what its collector is connected to."""

    server: LiveServer
    exchange: ExchangeControl

    @property
    def root(self) -> str:
        return self.server.root

    def run_script(self, *parts: str) -> None:
        """As in `manage.py shell`, beside the running service."""
        self.server.manage("shell", "--no-imports", "-c", "\n".join(parts))


@contextmanager
def embedded(home: Path) -> Iterator[Console]:
    """`manage.py serve` over SQLite, alone."""
    exchange = Exchange(home, server_environment(home), exchange_options(seed=7))
    folder = home / "serve"
    folder.mkdir()
    with exchange, LiveServer("asgi", folder, exchange.addresses | {"FEED": "simulated"}) as server:
        console = Console(server, exchange.control)
        console.run_script(MAKE_PEOPLE, MAKE_ORDERS)
        yield console


@dataclass(frozen=True)
class ServerConsole(Console):
    """Web server, Celery and collector as processes of their own, over a database server and a Redis."""

    collector: Program
    mariadb: PrivateMariaDB
    redis: PrivateRedis


@contextmanager
def on_servers(home: Path, mariadb: PrivateMariaDB, redis: PrivateRedis) -> Iterator[ServerConsole]:
    """As in production, but for nginx; all processes share one LIQUI_HOME."""
    run(mariadb, "DROP DATABASE IF EXISTS console_simulated", "CREATE DATABASE console_simulated CHARACTER SET utf8mb4")
    exchange = Exchange(home, server_environment(home), exchange_options(seed=7))
    variables = exchange.addresses | {
        "FEED": "simulated",
        "DATABASE_URL": mariadb.url("console"),
        "REDIS_URL": redis.url(),
        "CELERY_BROKER_URL": redis.url(1),
        "CACHE_KEY_PREFIX": home.name,
        "JWT_SECRET": secrets.token_urlsafe(50),
    }
    folder = home / "serve"
    folder.mkdir()
    with exchange, LiveServer("wsgi", folder, variables) as server:
        server.manage("migrate", "--verbosity", "0")
        server.manage("liquidations_table", "--create")
        server.manage("shell", "--no-imports", "-c", MAKE_PEOPLE + MAKE_ORDERS)
        worker = ("celery", "-A", "liqui", "worker", "--beat", "--pool", "threads")
        celery = Program("celery", worker, server.environment)
        collector = Program("collector", ("python", "manage.py", "collect"), server.environment)
        with celery, collector:
            exchange.control.wait_connected(1)
            yield ServerConsole(server, exchange.control, collector, mariadb, redis)
