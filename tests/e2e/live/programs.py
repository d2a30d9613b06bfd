"""Programs of ours as processes that a test kills and starts again, each with a folder and a log of its own."""

import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Self

import httpx

from tests.live import GUARD, ROOT, wait_until

START_SECONDS = 60
STOP_SECONDS = 15


class Program:
    """``python`` with these arguments; what it starts itself ends with it."""

    def __init__(self, name: str, home: Path, arguments: Sequence[str], variables: Mapping[str, str]) -> None:
        self.name, self.arguments = name, arguments
        self.home = home / name
        self.home.mkdir()
        self.variables = {**variables, "LIQUI_HOME": str(self.home)}
        self.log_path = self.home / "log"
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> str:
        return self.log_path.read_text(errors="replace")

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    def run(self) -> str:
        """To its end, which must be a good one; what it has printed."""
        done = subprocess.run(
            [sys.executable, *self.arguments], cwd=ROOT, env=self.variables, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        command = [sys.executable, *self.arguments]
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                command, cwd=ROOT, env=self.variables, stdout=log, stderr=log, start_new_session=True
            )
        # Ends with us, however we end, and takes the program's group along.
        self.guard = subprocess.Popen(
            ["sh", "-c", GUARD, "sh", str(self.pid)], stdin=subprocess.PIPE, start_new_session=True
        )

    def kill(self) -> None:
        """As a crash would: SIGKILL, to the program and whatever it has started."""
        if self.process is not None:
            self.guard.communicate()
            self.process.wait()
            self.process = None

    def stop(self) -> None:
        """In good order, where it ends in time."""
        if self.process is not None:
            self.process.terminate()
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(STOP_SECONDS)
            self.kill()

    def check_alive(self) -> None:
        is_alive = self.process is not None and self.process.poll() is None
        assert is_alive, f"{self.name} ended:\n{self.log[-5000:]}"


class Web(Program):
    """A program that answers HTTP and sockets at ``port``."""

    def __init__(
        self, name: str, home: Path, arguments: Sequence[str], variables: Mapping[str, str], port: int
    ) -> None:
        super().__init__(name, home, arguments, variables)
        self.port = port

    def wait_ready(self) -> None:
        def answers() -> bool:
            self.check_alive()
            try:
                return self.get("/health").status_code == 200
            except httpx.TransportError:
                return False

        wait_until(answers, START_SECONDS, f"{self.name} is healthy")

    def get(self, path: str, **parameters: str | int) -> httpx.Response:
        return httpx.get(f"http://127.0.0.1:{self.port}{path}", params=parameters, timeout=30, verify=False)

    def open_files(self) -> int:
        """How many descriptors it holds: sockets of clients that have left would be among them."""
        return len(list(Path(f"/proc/{self.pid}/fd").iterdir()))
