"""Our server over a benchmark's database: a production WSGI worker, one client connection, and its memory."""

import http.client
import os
import secrets
import subprocess
import sys
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from tools.environment import clean_environment
from tools.servers import free_port

ROOT = Path(__file__).resolve().parents[1]
HOST = "127.0.0.1"
START_SECONDS = 60
REQUEST_SECONDS = 300
SAMPLE_SECONDS = 0.05
PIECE_BYTES = 1 << 18


class BenchmarkFailed(Exception):
    """There is nothing to measure; the text says why."""


def environment(home: Path, database_url: str) -> dict[str, str]:
    home.mkdir(exist_ok=True)
    return clean_environment(os.environ, str(home)) | {
        "DATABASE_URL": database_url,
        "FEED": "none",
        "LOG_LEVEL": "WARNING",
        "SECRET_KEY": secrets.token_urlsafe(50),
        "JWT_SECRET": secrets.token_urlsafe(50),
    }


def manage(variables: dict[str, str], *arguments: str) -> str:
    """What a ``manage.py`` command prints. Raises `BenchmarkFailed`."""
    command = [sys.executable, "manage.py", *arguments]
    done = subprocess.run(command, cwd=ROOT, env=variables, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode:
        raise BenchmarkFailed(f"manage.py {' '.join(arguments)}:\n{done.stdout}{done.stderr}")
    return done.stdout


@dataclass(frozen=True, slots=True)
class Download:
    """How one streamed body came in."""

    rows: int
    seconds: float
    first_byte_seconds: float


class Server:
    """One granian worker over `liqui.wsgi`, as in production, with one kept-alive client connection."""

    def __init__(self, variables: dict[str, str]) -> None:
        self.variables, self.port = variables, free_port()
        self.log_path = Path(variables["LIQUI_HOME"]) / "server.log"
        self.client = http.client.HTTPConnection(HOST, self.port, timeout=REQUEST_SECONDS)

    def __enter__(self) -> Self:
        program = [str(Path(sys.executable).parent / "granian"), "--interface", "wsgi", "liqui.wsgi:application"]
        options = ["--workers", "1", "--blocking-threads", "4", "--host", HOST, "--port", str(self.port), "--no-ws"]
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                [*program, *options], cwd=ROOT, env=self.variables, stdout=log, stderr=log, start_new_session=True
            )
        try:
            self.wait_ready()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.client.close()
        self.process.terminate()
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(10)
        # granian's worker is a process of its own.
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, 9)
        self.process.wait()

    def wait_ready(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while True:
            with suppress(OSError, http.client.HTTPException):
                self.client.request("GET", "/health")
                self.client.getresponse().read()
                return
            self.client.close()
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise BenchmarkFailed(f"the server did not start:\n{self.log_path.read_text(errors='replace')}")
            time.sleep(0.05)

    def get(self, path: str, status: int = 200) -> bytes:
        """The body of an answer with this status. Raises `BenchmarkFailed` for another."""
        self.client.request("GET", path)
        response = self.client.getresponse()
        body = response.read()
        if response.status != status:
            raise BenchmarkFailed(f"GET {path}: {response.status} {body[:500]!r}")
        return body

    def download(self, path: str) -> Download:
        """Read a stream to its end, counting lines; uncompressed, since no Accept-Encoding asks for more."""
        began = time.perf_counter()
        self.client.request("GET", path)
        response = self.client.getresponse()
        rows, first = 0, 0.0
        tail = b""
        while piece := response.read1(PIECE_BYTES):
            first = first or time.perf_counter() - began
            rows += piece.count(b"\n")
            tail = piece
        seconds = time.perf_counter() - began
        if response.status != 200 or b'"error"' in tail[-1000:]:
            raise BenchmarkFailed(f"GET {path}: {response.status} {tail[-1000:]!r}")
        return Download(rows, seconds, first)

    def memory_files(self) -> list[Path]:
        """Where the kernel tells the memory of granian and its worker."""
        return [stat.with_name("statm") for stat in Path("/proc").glob("[0-9]*/stat") if self.owns(stat)]

    def owns(self, stat: Path) -> bool:
        with suppress(OSError):
            # After the name in parentheses: state, parent, process group.
            return int(stat.read_text().rpartition(")")[2].split()[2]) == self.process.pid
        return False


class MemoryWatch:
    """How much more memory the server has while the block runs, at most, than it had before."""

    def __init__(self, server: Server) -> None:
        self.files = server.memory_files()
        self.before = self.peak = 0
        self.is_over = threading.Event()
        self.thread = threading.Thread(target=self.sample)

    def __enter__(self) -> Self:
        self.before = self.peak = self.resident_bytes()
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.is_over.set()
        self.thread.join()

    def sample(self) -> None:
        while not self.is_over.wait(SAMPLE_SECONDS):
            self.peak = max(self.peak, self.resident_bytes())

    def resident_bytes(self) -> int:
        return sum(int(file.read_text().split()[1]) for file in self.files) * os.sysconf("SC_PAGE_SIZE")

    @property
    def growth_bytes(self) -> int:
        return self.peak - self.before
