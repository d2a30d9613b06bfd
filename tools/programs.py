"""liqui's own programs as servers beside those of `tools.servers`: web workers, Celery, commands."""

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from tools.servers import ROOT, PrivateServer

BIN = Path(sys.executable).parent
# REST workers, measured (docs/performance.md): two threads answer misses while one query waits for the database. An
# export holds one of them until its reader has all of it.
REST_THREADS = 2
REST_STREAMS = 1


class ProgramFailed(Exception):
    """A command has ended with another status than 0; the text is what it has printed."""


class Program(PrivateServer):
    """A program of the virtual environment by its ``command`` line; it takes no connections."""

    def __init__(
        self, name: str, command: tuple[str, ...], environment: Mapping[str, str], folder: Path | None = None
    ) -> None:
        self.name = name
        super().__init__(folder=folder)
        self.arguments, self.environment = command, environment

    def command(self) -> list[str]:
        program, *arguments = self.arguments
        return [str(BIN / program), *arguments]

    def answers(self) -> bool:
        return self.alive


class WebServer(Program):
    """A web server; its ``command`` line comes without host and port."""

    def command(self) -> list[str]:
        return [*super().command(), "--host", self.host, "--port", str(self.port)]

    @property
    def address(self) -> str:
        return f"{self.host}:{self.port}"

    def answers(self) -> bool:
        return self.exchange(b"GET /health HTTP/1.0\r\n\r\n").startswith(b"HTTP/")


def rest_command(
    workers: int, threads: int = REST_THREADS, application: str = "liqui.wsgi:application"
) -> tuple[str, ...]:
    """granian's WSGI workers."""
    workers_and_threads = ("--workers", str(workers), "--blocking-threads", str(threads))
    return ("granian", "--interface", "wsgi", *workers_and_threads, "--no-ws", *GRANIAN, application)


def sockets_command(workers: int = 1, application: str = "liqui.asgi:application") -> tuple[str, ...]:
    """granian's ASGI workers."""
    return ("granian", "--interface", "asgi", "--workers", str(workers), *GRANIAN, application)


# What does not end within three seconds of a stop is ended; a worker that dies is started again at once.
GRANIAN = ("--workers-kill-timeout", "3", "--respawn-failed-workers", "--respawn-interval", "0.5")


def manage(environment: Mapping[str, str], *arguments: str) -> str:
    """What a ``manage.py`` command prints. Raises `ProgramFailed`."""
    command = [sys.executable, "manage.py", *arguments]
    done = subprocess.run(
        command,
        cwd=ROOT,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if done.returncode:
        raise ProgramFailed(f"manage.py {' '.join(arguments)}:\n{done.stdout[-3000:]}")
    return done.stdout
