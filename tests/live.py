"""Real servers as subprocesses: each on a free port, with a LIQUI_HOME of its own."""

import os
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Literal, Self
from urllib.parse import quote

import httpx
from django.conf import settings
from django.db import connection

from cachemgmt.stores.changes import INTERVAL_S
from tools.environment import clean_environment
from tools.servers import free_port

ROOT = Path(__file__).resolve().parents[1]
BIN = Path(sys.executable).parent
START_SECONDS = 30
# Ends with its standard input, that is, with us, however we die; then no server and no worker of it must outlive us.
GUARD = 'read -r _; kill -s KILL -- "-$1" 2>/dev/null'

# Synchronous generators and asynchronous iterators end differently, so what streams is proved on both.
ServerKind = Literal["asgi", "wsgi", "granian", "daphne"]
KINDS: tuple[ServerKind, ...] = ("asgi", "wsgi")
# The servers that can serve sockets, each in its own way: uvicorn inside `manage.py serve`, and the other two.
SOCKET_KINDS: tuple[ServerKind, ...] = ("asgi", "granian", "daphne")


class LiveServer:
    """``manage.py serve`` ("asgi"), granian over the WSGI application ("wsgi"), or granian or daphne over the ASGI
    application, with ``variables`` as environment."""

    running = 0

    def __init__(self, kind: ServerKind, home: Path, variables: Mapping[str, str]) -> None:
        self.kind, self.home, self.port = kind, home, free_port()
        self.environment = server_environment(home) | {"PORT": str(self.port)} | dict(variables)
        self.log_path = home / "server.log"

    @property
    def root(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def log(self) -> str:
        return self.log_path.read_text(errors="replace")

    def command(self) -> list[str]:
        if self.kind == "asgi":
            return [sys.executable, "manage.py", "serve"]
        if self.kind == "daphne":
            return [
                str(BIN / "daphne"),
                *("-b", "127.0.0.1", "-p", str(self.port), "-v", "0"),
                "liqui.asgi:application",
            ]
        if self.kind == "granian":
            return [
                str(BIN / "granian"),
                *("--interface", "asgi", "--workers", "1", "--host", "127.0.0.1", "--port", str(self.port)),
                "liqui.asgi:application",
            ]
        return [
            str(BIN / "granian"),
            *("--interface", "wsgi", "--workers", "1", "--blocking-threads", "4"),
            *("--host", "127.0.0.1", "--port", str(self.port), "--no-ws"),
            "liqui.wsgi:application",
        ]

    def __enter__(self) -> Self:
        LiveServer.running += 1
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                self.command(), cwd=ROOT, env=self.environment, stdout=log, stderr=log, start_new_session=True
            )
        self.guard = subprocess.Popen(
            ["sh", "-c", GUARD, "sh", str(self.process.pid)], stdin=subprocess.PIPE, start_new_session=True
        )
        try:
            self.wait_ready()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        LiveServer.running -= 1
        self.process.terminate()
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(10)
        # granian's worker is a process of its own: the guard ends the whole group.
        self.guard.communicate()
        self.process.wait()

    def wait_ready(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while True:
            with suppress(httpx.TransportError):
                self.get("/openapi.json", timeout=START_SECONDS)
                return
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(f"the server did not start:\n{self.log}")
            time.sleep(0.05)

    def get(self, path: str, headers: Mapping[str, str] | None = None, timeout: float = 30, **parameters: Any) -> Any:
        # Without certificates, whose loading takes longer than most answers.
        return httpx.get(
            f"{self.root}{path}", params=parameters, headers=dict(headers or {}), timeout=timeout, verify=False
        )

    def manage(self, *arguments: str) -> None:
        """Run a ``manage.py`` command in the server's environment."""
        command = [sys.executable, "manage.py", *arguments]
        done = subprocess.run(command, cwd=ROOT, env=self.environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr

    def resident_bytes(self) -> int:
        """Memory of the server and the processes it has started."""
        pages = 0
        for status in Path("/proc").glob("[0-9]*/stat"):
            with suppress(OSError):
                # After the name in parentheses: state, parent, process group.
                if int(status.read_text().rpartition(")")[2].split()[2]) == self.process.pid:
                    pages += int((status.parent / "statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")


def wait_for_news() -> None:
    """Without Redis a server looks for what others have changed so often and no more often."""
    if LiveServer.running and not settings.ENVIRONMENT.redis_url:
        time.sleep(2 * INTERVAL_S)


@contextmanager
def serving(kind: ServerKind, home: Path, **variables: str) -> Iterator[LiveServer]:
    """A server over the tests' own database unless ``variables`` name another."""
    with LiveServer(kind, home, {"DATABASE_URL": tests_database_url()} | variables) as server:
        yield server


def server_environment(home: Path) -> dict[str, str]:
    redis_url = settings.ENVIRONMENT.redis_url
    return clean_environment(os.environ, str(home)) | {
        "FEED": "none",
        "CACHE_KEY_PREFIX": settings.CACHE_KEY_PREFIX,
        "SECRET_KEY": secrets.token_urlsafe(50),
        "JWT_SECRET": secrets.token_urlsafe(50),
        **({"REDIS_URL": redis_url, "CELERY_BROKER_URL": "filesystem://localhost"} if redis_url else {}),
    }


def tests_database_url() -> str:
    """The database in which the running test reads and writes."""
    config = connection.settings_dict
    if connection.vendor == "sqlite":
        return f"sqlite:///{config['NAME']}"
    login = f"{quote(config['USER'], safe='')}:{quote(config['PASSWORD'], safe='')}"
    return f"mysql://{login}@{config['HOST']}:{config['PORT']}/{config['NAME']}"


def wait_until(condition: Any, seconds: float, what: str) -> float:
    """Seconds until ``condition()`` holds; fails when it does not within ``seconds``."""
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < seconds, f"not within {seconds} s: {what}"
        time.sleep(0.05)
    return time.monotonic() - began
