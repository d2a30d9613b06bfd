"""The programs of the live path, and what is to be known of them: the service, the exchange, clients."""

import json
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from benchmarks import machine
from benchmarks.database import database_create
from benchmarks.server import ROOT, BenchmarkFailed, environment, manage
from tools.servers import PrivateMariaDB, PrivateRedis, free_port

START_SECONDS = 90
ADMIT_ALL = {"WS_MAX_PER_CLIENT": "10000"}

Process = subprocess.Popen[str]


@dataclass(frozen=True, slots=True)
class Service:
    """Our service, which is up: ``web`` serves the sockets, ``collector`` follows the exchange."""

    port: int
    web: Process
    collector: Process

    @property
    def address(self) -> str:
        """Of its sockets."""
        return f"ws://127.0.0.1:{self.port}/api/v1/ws"


@contextmanager
def service_started(
    database: PrivateMariaDB, redis: PrivateRedis, name: str, exchange: int, folder: Path
) -> Iterator[Service]:
    """One web process and a collector over a database of their own, following the exchange at that port."""
    port = free_port()
    variables = environment(folder / "liqui", database.url(name)) | {
        "FEED": "simulated",
        "REDIS_URL": redis.url(),
        "BINANCE_WS_BASE_URL": f"ws://127.0.0.1:{exchange}",
        "BINANCE_API_BASE_URL": f"http://127.0.0.1:{exchange}",
        **ADMIT_ALL,
    }
    database_create(database, f"{name}_simulated")
    manage(variables, "migrate", "--verbosity", "0")
    manage(variables, "liquidations_table", "--create")
    options = ["--port", str(port), "--ws", "websockets-sansio", "--ws-per-message-deflate", "false"]
    with (
        program(["-m", "uvicorn", "liqui.asgi:application", *options], variables, folder / "web.log") as web,
        program(["manage.py", "collect"], variables, folder / "collector.log") as collector,
    ):
        wait_until(lambda: is_open(port) and is_followed(exchange), folder)
        yield Service(port, web, collector)


@contextmanager
def exchange_started(options: Sequence[str], folder: Path) -> Iterator[tuple[int, Process]]:
    """The exchange simulator: its port and process."""
    port = free_port()
    command = ["manage.py", "exchange_simulator", "--port", str(port), *options]
    with program(command, environment(folder / "exchange", ""), folder / "exchange.log") as process:
        wait_until(lambda: is_open(port), folder)
        yield port, process


@contextmanager
def program(command: Sequence[str], variables: dict[str, str] | None, log: Path) -> Iterator[Process]:
    with open(log, "ab") as output:
        process = subprocess.Popen(
            [sys.executable, *command], cwd=ROOT, env=variables, stdout=output, stderr=output, text=True
        )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def wait_until(condition: Callable[[], bool], folder: Path) -> None:
    """Raises `BenchmarkFailed` with the logs."""
    deadline = time.monotonic() + START_SECONDS
    while not condition():
        if time.monotonic() > deadline:
            logs = "\n".join(f"{log.name}:\n{log.read_text(errors='replace')[-3000:]}" for log in folder.glob("*.log"))
            raise BenchmarkFailed(f"a server did not start:\n{logs}")
        time.sleep(0.1)


def is_open(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5):
            return True
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False


def is_followed(exchange: int) -> bool:
    return control(exchange, "state")["streams"] > 0


def control(exchange: int, path: str, body: bytes | None = None) -> Any:
    return answer(exchange, f"/control/{path}", body)


def answer(port: int, path: str, body: bytes | None = None) -> Any:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", body, timeout=60) as response:
        return json.load(response)


class Clients:
    """A process with many sockets: a module of ours that says "ready", and ends with its standard input."""

    def __init__(self, module: str, arguments: Sequence[str], file: Path) -> None:
        """``file``, its last argument, is where it writes what came."""
        self.file = file
        self.process = subprocess.Popen(
            [sys.executable, "-m", module, *arguments, str(file)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        if self.process.stdout.readline() != "ready\n":
            raise BenchmarkFailed(f"{' '.join(arguments)}: not all clients were let in")

    def finish(self) -> int:
        """How many sockets are still open; what they got is in the file then."""
        return int(self.process.communicate()[0])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()


def order_key(message: Any) -> tuple[str, int] | None:
    """Symbol and trade time of a forced order, in our frames and in the exchange's; None for anything else."""
    if "o" in message:
        return message["o"]["s"], message["o"]["T"]
    data = message.get("data")
    if message.get("type") == "liquidation_order" and isinstance(data, dict):
        return data["symbol"], data["timestamp"]
    return None


def sleep_until(moment: float) -> None:
    """Of the monotonic clock."""
    time.sleep(max(moment - time.monotonic(), 0))


def resident_bytes(process_id: int) -> int:
    return int(machine.proc_value(Path(f"/proc/{process_id}/status"), "VmRSS").removesuffix(" kB")) * 1024
