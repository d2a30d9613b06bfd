"""``manage.py serve`` as a user runs it: a process of its own, on a free port, with a folder of its own."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from tools.environment import clean_environment
from tools.servers import free_port

ROOT = Path(__file__).resolve().parents[2]
START_S = 30


def environment(home: Path, **variables: str) -> dict[str, str]:
    return clean_environment(os.environ, str(home)) | variables


def manage(*arguments: str, home: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """A command that ends by itself."""
    return subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=ROOT,
        env=environment(home, **variables),
        capture_output=True,
        text=True,
        timeout=START_S,
    )


class Serving:
    """A running server; ``client`` talks to it."""

    def __init__(self, home: Path, *arguments: str, **variables: str) -> None:
        self.home = home
        self.port = free_port()
        self.variables = {"PORT": str(self.port), **variables}
        self.log = home.with_name(f"{home.name}.log")
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "manage.py", "serve", *arguments],
                cwd=ROOT,
                env=environment(home, **self.variables),
                stdout=log,
                stderr=log,
            )
        self.client = httpx.Client(base_url=f"http://127.0.0.1:{self.port}", timeout=START_S)

    def wait_ready(self) -> "Serving":
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                self.client.get("/health")
            except httpx.TransportError:
                time.sleep(0.05)
            else:
                return self
        raise AssertionError(f"serve did not start:\n{self.text()}")

    def text(self) -> str:
        """Everything that the process has printed."""
        return self.log.read_text(errors="replace")

    def wait_for(self, pattern: str, seconds: float = 15) -> None:
        deadline = time.monotonic() + seconds
        while not re.search(pattern, self.text()):
            assert time.monotonic() < deadline, f"{pattern!r} was not printed:\n{self.text()}"
            time.sleep(0.05)

    def celery_call(self, task: str) -> None:
        """``celery -A liqui call`` in a second shell."""
        subprocess.run(
            [sys.executable, "-m", "celery", "-A", "liqui", "call", task],
            cwd=ROOT,
            env=environment(self.home, **self.variables),
            check=True,
            capture_output=True,
            timeout=START_S,
        )

    def tasks_succeeded(self, task: str) -> float:
        """How many runs of ``task`` /metrics counts."""
        line = rf'^liqui_celery_tasks_total{{state="SUCCESS",task="{re.escape(task)}"}} (\S+)$'
        match = re.search(line, self.client.get("/metrics").text, re.MULTILINE)
        return float(match[1]) if match else 0

    def stop(self, number: int = signal.SIGTERM) -> tuple[int, float]:
        """The exit status and how long the stop took, in seconds."""
        started = time.monotonic()
        self.process.send_signal(number)
        status = self.process.wait(timeout=START_S)
        return status, time.monotonic() - started


@contextmanager
def serving(home: Path, *arguments: str, **variables: str) -> Iterator[Serving]:
    server = Serving(home, *arguments, **variables)
    try:
        yield server.wait_ready()
    finally:
        server.client.close()
        if server.process.poll() is None:
            server.process.kill()
            server.process.wait()
