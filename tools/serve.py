"""Production's programs on this machine, in one command:  python -m tools.serve [--workers N]

nginx at HOST:PORT, granian's WSGI workers for REST and ASGI workers for sockets, Celery's worker and beat, and the
collector where the feed is collected, with a MariaDB and a Redis of their own unless the environment names others.
What they keep and log is in LIQUI_HOME/serve.
Whatever dies is started again; Ctrl-C or SIGTERM ends everything.
"""

import argparse
import os
import signal
import sys
import time
from collections import defaultdict, deque
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NoReturn

import django
from django.conf import settings
from django.core.management.base import CommandError

from liqui.settings.feeds import COLLECTED_FEEDS, SIMULATED_FEEDS
from tools.backends import Login, execute
from tools.packages import PackagesMissing
from tools.programs import REST_STREAMS, Program, ProgramFailed, WebServer, manage, rest_command, sockets_command
from tools.servers import DURABLE, PrivateMariaDB, PrivateNginx, PrivateRedis, PrivateServer, ServerFailed

LOOK_S = 0.2
# What dies more often than this is not worth starting again.
DEATHS, DEATHS_WITHIN_S = 5, 60
# Programs, then the servers that they use: nine seconds together at the most.
PROGRAMS_STOP_S, SERVERS_STOP_S = 4, 5
# Answers make room, those first that were used least recently. They have a time to live; Celery's queue has none.
BOUNDED = ("--maxmemory", "256mb", "--maxmemory-policy", "volatile-lru")
DATABASE = "liqui"
COMMANDS = "  commands LIQUI_ENV_FILE={} .venv/bin/python manage.py …\n"
NO_EXCHANGE = (
    "liqui: FEED={} plays no exchange here, as make run does: use FEED=live or sample, or name a running "
    "manage.py exchange_simulator with BINANCE_WS_BASE_URL and BINANCE_API_BASE_URL"
)
PREPARE = "from liqui.database_setup import database_prepare; database_prepare()"
# What makes another process one of these.
SHARED = (
    *("DATABASE_URL", "REDIS_URL", "SECRET_KEY", "JWT_SECRET", "FEED", "LIQUI_HOME", "PROMETHEUS_MULTIPROC_DIR"),
    *("BINANCE_WS_BASE_URL", "BINANCE_API_BASE_URL"),
)
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def main(arguments: Sequence[str]) -> int:
    options = parse(arguments)
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "liqui.settings")
    django.setup()
    from liqui import startup
    from liqui.management.commands.serve import announce, announce_administrator, listening_socket, only_instance
    from liqui.metrics import remove_dead_files

    startup.refuse_faults()
    if settings.LIQUI_FEED in SIMULATED_FEEDS and not settings.ENVIRONMENT.names_an_exchange:
        print(NO_EXCHANGE.format(settings.LIQUI_FEED), file=sys.stderr)
        return 1
    remove_dead_files(settings.METRICS_DIR)
    for number in SIGNALS:
        signal.signal(number, stopped)
    programs = Programs(settings.LIQUI_HOME / "serve")
    try:
        with only_instance(settings.LIQUI_HOME):
            with listening_socket():
                pass  # says in one line what would keep nginx from listening there
            try:
                programs.start(options.workers)
                announce()
                if programs.password:
                    announce_administrator(programs.password, f"LIQUI_ENV_FILE={programs.environment_file} ")
                print(COMMANDS.format(programs.environment_file), flush=True)
                programs.keep_running()
            finally:
                programs.stop()
    except (CommandError, PackagesMissing, ProgramFailed, ServerFailed) as error:
        print(f"liqui: {error}", file=sys.stderr)
        return 1
    return 0


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tools.serve", description="Run production's programs here.")
    parser.add_argument("--workers", type=int, default=os.cpu_count(), help="REST workers (default: one for each core)")
    return parser.parse_args(arguments)


def stopped(number: int, _frame: object) -> NoReturn:
    # Stopping takes a bounded time; a second signal is not to cut it short.
    for each in SIGNALS:
        signal.signal(each, signal.SIG_IGN)
    raise SystemExit(0)


class Programs:
    """Everything that runs, each in its folder below ``home``, in the order in which it was started."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.servers: list[PrivateServer] = []  # that the programs use
        self.programs: list[PrivateServer] = []
        self.password = ""  # of an administrator who has just been made

    def start(self, workers: int) -> None:
        """Returns when all of them answer. Raises `PackagesMissing`, `ServerFailed` or `ProgramFailed`."""
        for kind in (PrivateMariaDB, PrivateRedis, PrivateNginx):
            kind.install()
        variables = self.start_servers()
        rest = WebServer("rest", rest_command(workers), variables, self.home / "rest")
        sockets = WebServer("sockets", sockets_command(), variables, self.home / "sockets")
        listen = f"{settings.ENVIRONMENT.host}:{settings.ENVIRONMENT.port}"
        collector = Program("collector", ("python", "manage.py", "collect"), variables, self.home / "collector")
        for program in (
            rest,
            sockets,
            *([collector] if settings.LIQUI_FEED in COLLECTED_FEEDS else []),
            Program("worker", ("celery", "-A", "liqui", "worker"), variables, self.home / "worker"),
            Program("beat", ("celery", "-A", "liqui", "beat"), variables, self.home / "beat"),
            PrivateNginx(rest.address, sockets.address, listen, self.home / "nginx"),
        ):
            self.programs.append(program)
            start(program)

    def start_servers(self) -> dict[str, str]:
        """A database that is ready and a Redis; returns the environment of the programs."""
        named = settings.ENVIRONMENT
        variables = {
            "MAX_STREAMS": str(REST_STREAMS),
            **os.environ,
            "SECRET_KEY": settings.SECRET_KEY,
            "JWT_SECRET": settings.ENVIRONMENT.jwt_secret,
            "LIQUI_HOME": str(settings.LIQUI_HOME),
        }
        if not named.redis_url:
            redis = PrivateRedis(BOUNDED, self.home / "redis")
            self.servers.append(redis)
            start(redis)
            variables["REDIS_URL"] = redis.url()
        if not named.has_database_server:
            database = PrivateMariaDB((*DURABLE, "--socket=mariadb.sock"), self.home / "mariadb")
            self.servers.append(database)
            start(database)
            variables["DATABASE_URL"] = database.url(DATABASE)
            execute(Login(port=database.port), f"CREATE DATABASE IF NOT EXISTS {DATABASE} CHARACTER SET utf8mb4")
            if named.feed in ("none", "live"):
                manage(variables, "liquidations_table", "--create")
        print("liqui: making the database ready", flush=True)
        manage(variables, "shell", "--no-imports", "--command", PREPARE)
        if not named.has_database_server:
            self.password = manage(variables, "first_administrator").partition(" ")[2].strip()
        self.write_environment(variables)
        return variables

    @property
    def environment_file(self) -> Path:
        """For commands in another shell: LIQUI_ENV_FILE names it."""
        return self.home / "env"

    def write_environment(self, variables: Mapping[str, str]) -> None:
        lines = [f"{name}={variables[name]}\n" for name in SHARED if name in variables]
        self.environment_file.touch(0o600)
        self.environment_file.write_text("".join(lines))

    def keep_running(self) -> None:
        """Start again what dies, for ever. Raises `ServerFailed` about what cannot be started or dies all the time."""
        deaths: defaultdict[str, deque[float]] = defaultdict(lambda: deque(maxlen=DEATHS))
        while True:
            time.sleep(LOOK_S)
            for server in (*self.servers, *self.programs):
                if not server.alive:
                    revive(server, deaths[server.name])

    def stop(self) -> None:
        """In good order if that can be had in time; what does not end by itself is ended."""
        for group, seconds in ((self.programs, PROGRAMS_STOP_S), (self.servers, SERVERS_STOP_S)):
            with ThreadPoolExecutor() as pool:
                list(pool.map(lambda server, limit=seconds: server.stop(limit), group))


def start(server: PrivateServer) -> None:
    server.log_path.unlink(missing_ok=True)
    server.start()
    print(f"liqui: {server.name} runs, process {server.pid}, log {server.log_path}", flush=True)


def revive(server: PrivateServer, deaths: deque[float]) -> None:
    now = time.monotonic()
    if len(deaths) == DEATHS and deaths[0] > now - DEATHS_WITHIN_S:
        raise ServerFailed(f"{server.name} dies again and again; its log is {server.log_path}")
    deaths.append(now)
    print(
        f"liqui: {server.name} has died and is started again; its log is {server.log_path}", file=sys.stderr, flush=True
    )
    server.start()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
