"""liqui over a database and a Redis of a benchmark's own, with orders up to the present, behind any web server."""

import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from urllib.parse import urlencode

from benchmarks.database import connect, database_create, private_server, run_script, version
from benchmarks.market import DAY_MS, HOUR_MS, TOP_SYMBOL, orders_generate
from benchmarks.run import stage
from benchmarks.server import environment, manage
from benchmarks.table import table_fill
from tools.programs import WebServer, rest_command
from tools.servers import PrivateMariaDB, PrivateRedis

NAME = "service"
WORKERS = 2
REST = rest_command(WORKERS)
REDIS = ("--maxmemory", "256mb", "--maxmemory-policy", "allkeys-lru")
NOTHING: Mapping[str, str] = {}
WITHOUT_CACHE = {"CACHE_ENABLED": "0"}


@dataclass(frozen=True, slots=True)
class Place:
    """Where the services of a run find everything; ``end_ms`` is the whole hour with which the orders end."""

    database: PrivateMariaDB
    redis: PrivateRedis
    variables: dict[str, str]
    end_ms: int

    @property
    def database_version(self) -> str:
        return version(self.database)

    @contextmanager
    def serving(self, variables: Mapping[str, str] = NOTHING, command: tuple[str, ...] = REST) -> Iterator[str]:
        """The root URL of a web server, by default production's REST workers, with these ``variables`` as well."""
        with WebServer("web", command, {**self.variables, **variables}) as server:
            yield f"http://{server.address}"

    def hours_of(self, days: int) -> str:
        """Buckets of an hour over the last whole days; each day has about 5 kB."""
        window = {"start_timestamp": self.end_ms - days * DAY_MS, "end_timestamp": self.end_ms}
        return f"/api/liquidations?{urlencode({'symbol': TOP_SYMBOL, 'timeframe': '1h', **window})}"


@contextmanager
def place_made(rows: int) -> Iterator[Place]:
    """Servers with ``rows`` orders of a year until now, and with their bars."""
    end_ms = int(time.time() * 1000) // HOUR_MS * HOUR_MS
    with private_server() as database, PrivateRedis(REDIS) as redis:
        variables = environment(database.folder / "home", database.url(NAME)) | {"REDIS_URL": redis.url()}
        with stage(f"{rows:,} orders made and loaded, with the indexes that liqui asks for, and bars built"):
            database_create(database, NAME)
            with closing(connect(database, NAME)) as connection:
                table_fill(connection, orders_generate(rows, end_ms=end_ms), database.folder)
            manage(variables, "migrate", "--verbosity", "0")
            run_script(database, NAME, manage(variables, "liquidations_table", "--check"))
            manage(variables, "liquidation_bars", "build")
        yield Place(database, redis, variables, end_ms)
