"""``manage.py serve``: web server, Celery worker and beat in one process. ``make run`` calls this."""

import errno
import os
import shlex
import signal
import socket
import sys
import threading
from argparse import ArgumentParser
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import uvicorn
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import Error as DatabaseError
from filelock import FileLock, Timeout
from uvicorn.supervisors import ChangeReload

from accounts.first import NAME as FIRST_NAME
from accounts.first import first_administrator
from liqui import startup
from liqui.companions import companions
from liqui.database_setup import DatabaseSetup
from liqui.embedded import EmbeddedCelery
from liqui.feed import OwnExchange, decide_and_start_again
from liqui.guide import OWN_DATA_STEPS, example_path
from liqui.metrics import remove_dead_files
from liqui.settings.feeds import COLLECTED_FEEDS, SIMULATED_FEEDS
from streams.collecting.collector import Collector, Options

# Within the five seconds that a stop may take: open requests, then tasks, then whatever is left.
REQUESTS_STOP_S = 1.5
TASKS_STOP_S = 2.5
STOP_S = 4.5


class Command(BaseCommand):
    help = "Serve liqui at HOST:PORT with a Celery worker and beat, all in this process."
    # `startup.prepare` runs the one check that matters here; all of them would cost half of the start.
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--reload", action="store_true", help="restart at every change of a file (development)")

    def handle(self, *args: Any, reload: bool, **options: Any) -> None:
        if settings.LIQUI_FEED == "auto":
            decide_and_start_again()
        startup.prepare()
        with only_instance(settings.LIQUI_HOME), listening_socket() as listener:
            remove_dead_files(settings.METRICS_DIR)
            (serve_reloading if reload else serve)(listener)


def serve(listener: socket.socket) -> None:
    database, tasks, exchange = DatabaseSetup(), EmbeddedCelery(), OwnExchange()
    # Imports Django's handler and the URLs only now: a second instance is refused before it has loaded them.
    config = uvicorn.Config("liqui.asgi:application", **server_options())
    server = Server(config)
    server.install_signal_handlers(tasks)
    try:
        exchange.start()
        database.run()
        make_administrator()
        exchange.wait()
        if settings.LIQUI_FEED in COLLECTED_FEEDS:
            # In the server's event loop, to which the sockets' channel layer belongs.
            companions.append(Collector(Options("embedded")))
        tasks.start()
        server.run(sockets=[listener])
    except OSError as error:
        raise CommandError(str(error)) from None
    finally:
        exchange.stop()
        database.stopping.set()
        tasks.stop()
        tasks.finish(TASKS_STOP_S)
    leave()


def serve_reloading(listener: socket.socket) -> None:
    """For development: a child process serves and is started again; there is no worker to restart with it."""
    DatabaseSetup().run()
    make_administrator()
    print("Restarts when a file changes. Nothing is collected here, and no tasks run:")
    print("  .venv/bin/celery -A liqui worker --beat --pool threads")
    announce()
    folders = [str(path.parent) for path in settings.BASE_DIR.glob("*/__init__.py")]
    config = uvicorn.Config("liqui.asgi:application", reload=True, reload_dirs=folders, **server_options())
    ChangeReload(config, target=uvicorn.Server(config).run, sockets=[listener]).run()


def server_options() -> dict[str, Any]:
    return {
        "log_config": None,
        "access_log": False,
        "server_header": False,
        # uvicorn too believes X-Forwarded-For and -Proto; of the same proxies, then.
        "forwarded_allow_ips": [str(network) for network in settings.TRUSTED_PROXIES],
        "timeout_graceful_shutdown": REQUESTS_STOP_S,
        "lifespan": "on",
        "ws": "websockets-sansio",
        # It costs more than the bytes that it saves are worth.
        "ws_per_message_deflate": False,
        "ws_max_size": 65_536,
    }


class Server(uvicorn.Server):
    """uvicorn, stopped by us: it would end the process with the signal's status, not with 0."""

    def install_signal_handlers(self, tasks: EmbeddedCelery) -> None:
        def stop(number: int, frame: FrameType | None) -> None:
            if self.should_exit:
                leave()
            self.should_exit = True
            # Threads that are deep in a query or a task cannot be ended; the process can.
            watchdog = threading.Timer(STOP_S, leave)
            watchdog.daemon = True
            watchdog.start()
            tasks.stop()
            if not self.started:
                raise SystemExit(0)

        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, stop)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        announce()


def leave() -> None:
    """End the process with status 0 now: the interpreter would wait for every thread of every pool."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


@contextmanager
def only_instance(home: Path) -> Iterator[None]:
    """Holds LIQUI_HOME for this process. Raises `CommandError` naming the process that has it."""
    process_file = home / "serve.pid"
    lock = FileLock(home / "serve.lock")
    try:
        lock.acquire(blocking=False)
    except Timeout:
        raise CommandError(f"LIQUI_HOME={home} is in use by liqui, process {holder(process_file)}.") from None
    try:
        process_file.write_text(str(os.getpid()))
        yield
    finally:
        lock.release()


def holder(process_file: Path) -> str:
    try:
        return process_file.read_text().strip() or "unknown"
    except OSError:
        return "unknown"


@contextmanager
def listening_socket() -> Iterator[socket.socket]:
    """A socket bound to HOST:PORT. Raises `CommandError` in one line where that cannot be had."""
    host, port = settings.ENVIRONMENT.host, settings.ENVIRONMENT.port
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind, protocol)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        # Refuses a second server on this port from now on, not only once the first one is ready.
        listener.listen(2048)
    except OSError as error:
        raise CommandError(bind_problem(host, port, error)) from None
    with listener:
        yield listener


def bind_problem(host: str, port: int, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"Port {port} of {host} is taken by another program. Choose another one: PORT={port + 1} make run"
    return f"Cannot listen at HOST={host} PORT={port}: {error.strerror or error}."


def make_administrator() -> None:
    """Of a database of our own without users. (On the user's server, they make them: ``manage.py createsuperuser``.)"""
    if settings.ENVIRONMENT.has_database_server:
        return
    try:
        password = first_administrator()
    except DatabaseError:
        # `DatabaseSetup` says why, and the next start makes one.
        return
    if password:
        announce_administrator(password, same_database())


def same_database() -> str:
    """What a command in another shell needs before it, to find the database of this process."""
    made_up = {"sample": "FEED=sample ", "simulated": "FEED=simulated ", "replay": "FEED=simulated "}
    home = f"LIQUI_HOME={shlex.quote(str(settings.LIQUI_HOME))} " if os.environ.get("LIQUI_HOME") else ""
    return home + made_up.get(settings.LIQUI_FEED, "")


def announce_administrator(password: str, variables: str) -> None:
    """To the terminal and nowhere else. ``variables`` come before a command that finds this database."""
    lines = [
        "",
        "  The console needs a sign-in. This is shown once:",
        f"    name      {FIRST_NAME}",
        f"    password  {password}",
        f"    another   {variables}.venv/bin/python manage.py changepassword {FIRST_NAME}",
        "",
    ]
    print("\n".join(lines), flush=True)


def announce() -> None:
    """Where to look, in the terminal of the person who started this."""
    host = settings.ENVIRONMENT.host
    if host in ("0.0.0.0", "::"):  # noqa: S104
        host = "localhost"
    host = f"[{host}]" if ":" in host else host
    root = f"http://{host}:{settings.ENVIRONMENT.port}"
    lines = [
        "",
        f"  liqui    {root}/",
        f"  console  {root}/admin/",
        f"  docs     {root}/docs",
        f"  health   {root}/health",
        f"  try      curl '{root}{example_path()}'",
        "",
    ]
    if settings.LIQUI_FEED in SIMULATED_FEEDS:
        lines += ["  SIMULATED: the exchange is made up. For Binance's own data: make run FEED=live", ""]
    if settings.LIQUI_FEED == "sample":
        lines += ["  This is sample data. To serve your own:", *(f"    {step}" for step in OWN_DATA_STEPS), ""]
    print("\n".join(lines), flush=True)
