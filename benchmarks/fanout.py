"""`make bench BENCH=fanout` (`ARGS="--quick"`, `ARGS="--markdown"`): from the exchange to a thousand sockets.

The exchange simulator plays the same recording to our service (collector, MariaDB, Redis, one web process), to a bare
`websockets` broadcast and to a loop over Starlette's sockets, one after the other; the relays store nothing. A delivery
takes from the moment at which the simulator hands the frame to the system to the moment at which a client has read it.
"""

import argparse
import json
import math
import random
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from benchmarks import machine
from benchmarks.database import private_server, version
from benchmarks.live import (
    Clients,
    control,
    exchange_started,
    is_followed,
    is_open,
    order_key,
    program,
    resident_bytes,
    service_started,
    sleep_until,
    wait_until,
)
from benchmarks.report import aligned, markdown, number
from benchmarks.server import BenchmarkFailed
from benchmarks.simulator import cpu_seconds
from tools.servers import PrivateMariaDB, PrivateRedis, free_port

RATE, GOAL_MS = 50, 100.0
RATES = (RATE, 75, 100, 150, 200, 300)
SYMBOLS = 300
CLIENT_PROCESSES = 2
REST_SECONDS = 3.0  # between two rates, so that one's backlog is not the next one's
HEAD = (
    *("server", "p50 at 50/s", "p99 at 50/s", "lost at 50/s", "p99 ≤ 100 ms up to", "CPU of the process at 50/s"),
    "memory per socket",
)


@dataclass(frozen=True, slots=True)
class Phase:
    """``rate`` orders a second for ``seconds``, at the chance of real ones; ``start_s`` counts from the first frame."""

    rate: int
    start_s: float
    seconds: float


@dataclass(frozen=True, slots=True)
class Options:
    sockets: int
    phases: Sequence[Phase]
    markdown: bool


@dataclass(frozen=True, slots=True)
class Served:
    """A server that is up: where its sockets are, and the process that serves them."""

    address: str
    process_id: int


Serve = Callable[[int, Path], AbstractContextManager[Served]]  # given the exchange's port, and a folder for logs


@dataclass
class Measured:
    """What one server did: deliveries' milliseconds of each rate, and what was lost."""

    name: str
    delays_ms: dict[int, "np.ndarray[Any, Any]"] = field(default_factory=dict)
    lost: int = 0  # at RATE
    cpu: float = 0.0  # of one core, at RATE
    bytes_per_socket: float = 0.0

    def quantile(self, rate: int, share: float) -> float:
        return float(np.quantile(self.delays_ms[rate], share)) if len(self.delays_ms[rate]) else math.inf

    @property
    def best_rate(self) -> int:
        """The highest rate before the first at which p99 is beyond the goal; 0 where none is within it."""
        good = 0
        for rate in self.delays_ms:
            if self.quantile(rate, 0.99) > GOAL_MS:
                break
            good = rate
        return good

    @property
    def standing(self) -> tuple[int, float]:
        """To be compared with another's: at the same best rate, the shorter p99 at `RATE` is the better one."""
        return self.best_rate, -self.quantile(RATE, 0.99)


def main(arguments: Sequence[str]) -> None:
    options = parse(arguments)
    load, began = machine.load(), time.monotonic()
    with tempfile.TemporaryDirectory(prefix="liqui-fanout-") as folder:
        recording = Path(folder) / "orders.jsonl"
        keys = recording_write(recording, options.phases)
        with private_server() as database, PrivateRedis() as redis:
            description = machine.description(version(database))
            measured = [
                measure(name, options, recording, keys, Path(folder), serve)
                for name, serve in (
                    ("liqui", ours(database, redis)),
                    ("websockets, broadcast", relay("websockets")),
                    ("Starlette, a loop", relay("starlette")),
                )
            ]
    minutes = (time.monotonic() - began) / 60
    print(f"{options.sockets:,} sockets in {CLIENT_PROCESSES} processes on the same machine. {description}.")
    print(f"The run took {minutes:.0f} minutes; before it began, {load:.1f} other programs wanted to run.\n")
    table = markdown if options.markdown else aligned
    print("\n".join(table([HEAD, *map(cells, measured)])))
    print()
    print("\n".join(table([("p99 at orders a second", *map(str, RATES)), *map(curve, measured)])))
    print()
    print("\n".join(verdicts(*measured)))


def parse(arguments: Sequence[str]) -> Options:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fanout", description=__doc__)
    parser.add_argument("--sockets", type=int, default=1000)
    parser.add_argument("--quick", action="store_true", help="a short try; its numbers mean little")
    parser.add_argument("--markdown", action="store_true", help="print it ready for docs/performance.md")
    parsed = parser.parse_args(arguments)
    return Options(parsed.sockets, phases(*((6, 3) if parsed.quick else (20, 10))), parsed.markdown)


def phases(first_seconds: float, seconds: float) -> list[Phase]:
    made: list[Phase] = []
    start_s = REST_SECONDS
    for rate in RATES:
        made.append(Phase(rate, start_s, first_seconds if rate == RATE else seconds))
        start_s += made[-1].seconds + REST_SECONDS
    return made


# What is played


def recording_write(path: Path, phases: Sequence[Phase]) -> dict[tuple[str, int], int]:
    """Frames of forced orders at their times; the rate of each order by its symbol and trade time."""
    chance, start_ms = random.Random(50), int(time.time() * 1000)
    keys: dict[tuple[str, int], int] = {("A0USDT", start_ms): 0}
    # The first frame begins the time of the recording.
    lines = [frame_line("A0USDT", start_ms)]
    for phase in phases:
        moments = sorted(chance.uniform(0, phase.seconds) for _ in range(int(phase.rate * phase.seconds)))
        for place, moment in enumerate(moments):
            symbol, at_ms = f"A{place % SYMBOLS}USDT", start_ms + int((phase.start_s + moment) * 1000)
            keys[symbol, at_ms] = phase.rate
            lines.append(frame_line(symbol, at_ms))
    path.write_text("".join(lines))
    return keys


def frame_line(symbol: str, at_ms: int) -> str:
    order = {"s": symbol, "S": "SELL", "o": "LIMIT", "f": "IOC", "q": "1.500", "p": "80000.00", "ap": "80010.10"}
    order |= {"X": "FILLED", "l": "1.500", "z": "1.500"}
    event = {"e": "forceOrder", "E": at_ms, "o": {**order, "T": at_ms, "ps": symbol, "st": 1}}
    frame = json.dumps({"stream": "!forceOrder@arr", "data": event}, separators=(",", ":"))
    return json.dumps({"received_ms": at_ms, "frame": frame}) + "\n"


# Who serves it


def ours(database: PrivateMariaDB, redis: PrivateRedis) -> Serve:
    @contextmanager
    def serve(exchange: int, folder: Path) -> Iterator[Served]:
        with service_started(database, redis, "fanout", exchange, folder) as service:
            yield Served(f"{service.address}/liquidations", service.web.pid)

    return serve


def relay(kind: str) -> Serve:
    @contextmanager
    def serve(exchange: int, folder: Path) -> Iterator[Served]:
        port = free_port()
        command = ["-m", "benchmarks.fanout_relays", kind, str(port), f"ws://127.0.0.1:{exchange}"]
        with program(command, None, folder / f"{kind}.log") as process:
            wait_until(lambda: is_open(port) and is_followed(exchange), folder)
            yield Served(f"ws://127.0.0.1:{port}/", process.pid)

    return serve


# What is measured


def measure(name: str, options: Options, recording: Path, keys: Any, folder: Path, serve: Serve) -> Measured:
    began = time.monotonic()
    measured = Measured(name)
    folder = folder / name.partition(",")[0]
    folder.mkdir()
    with ExitStack() as stack:
        exchange, _ = stack.enter_context(exchange_started(["--paused", "--replay", str(recording)], folder))
        served = stack.enter_context(serve(exchange, folder))
        before = resident_bytes(served.process_id)
        count = options.sockets // CLIENT_PROCESSES
        clients = [
            stack.enter_context(Clients("benchmarks.fanout_client", [served.address, str(count)], folder / f"{number}"))
            for number in range(CLIENT_PROCESSES)
        ]
        measured.bytes_per_socket = (resident_bytes(served.process_id) - before) / options.sockets
        control(exchange, "resume", b"{}")
        play(options.phases, served.process_id, measured)
        sent = control(exchange, "sent")["orders"]
        if len(sent) != len(keys):
            raise BenchmarkFailed(f"{name}: the exchange sent {len(sent)} of {len(keys)} orders")
        still_there = sum(each.finish() for each in clients)
        if still_there != options.sockets:
            print(f"{name}: {options.sockets - still_there} sockets were closed", file=sys.stderr)
        evaluate(measured, sent, keys, [each.file for each in clients], options.sockets)
    print(f"{time.monotonic() - began:7.1f} s  {name}", file=sys.stderr, flush=True)
    return measured


def play(phases: Sequence[Phase], process_id: int, measured: Measured) -> None:
    """Wait while the recording plays; the first phase is the one of which the processor's time is told."""
    began = time.monotonic()
    first = phases[0]
    sleep_until(began + first.start_s)
    cpu_s = cpu_seconds(process_id)
    sleep_until(began + first.start_s + first.seconds)
    measured.cpu = (cpu_seconds(process_id) - cpu_s) / first.seconds
    # The last rate's backlog may take a while.
    sleep_until(began + phases[-1].start_s + phases[-1].seconds + 3 * REST_SECONDS)


def evaluate(measured: Measured, sent: Any, keys: Any, files: Sequence[Path], sockets: int) -> None:
    arrivals: dict[tuple[str, int], list[Any]] = {}
    for file in files:
        for frame, times in msgspec.msgpack.decode(file.read_bytes()):
            if key := order_key(json.loads(frame)):
                arrivals.setdefault(key, []).append(np.frombuffer(times))
    delays: dict[int, list[Any]] = {}
    for order in sent:
        key = order["symbol"], order["T"]
        if rate := keys[key]:
            came = np.concatenate(arrivals.get(key, [np.empty(0)]))
            # At higher rates some are still on their way when the clients stop.
            measured.lost += max(sockets - len(came), 0) if rate == RATE else 0
            delays.setdefault(rate, []).append(came * 1000 - order["sent_ms"])
    measured.delays_ms = {rate: np.concatenate(parts) for rate, parts in delays.items()}


# What is told


def cells(measured: Measured) -> tuple[str, ...]:
    return (
        measured.name,
        *(milliseconds(measured.quantile(RATE, share)) for share in (0.5, 0.99)),
        number(measured.lost),
        f"{measured.best_rate} orders/s",
        f"{measured.cpu:.0%}",
        f"{measured.bytes_per_socket / 1024:.0f} KiB",
    )


def curve(measured: Measured) -> tuple[str, ...]:
    return (measured.name, *(milliseconds(measured.quantile(rate, 0.99)) for rate in RATES))


def milliseconds(value: float) -> str:
    return f"{number(value)} ms" if math.isfinite(value) else "nothing came"


def verdicts(liqui: Measured, broadcast: Measured, loop: Measured) -> list[str]:
    checks = {
        f"p99 at {RATE} orders a second ≤ {GOAL_MS:.0f} ms": liqui.quantile(RATE, 0.99) <= GOAL_MS,
        "nothing lost": liqui.lost == 0,
        "no worse than the loop": liqui.standing >= loop.standing,
        "at least 0.7 of the broadcast": liqui.best_rate >= 0.7 * broadcast.best_rate,
    }
    return [f"{'yes' if is_met else 'NO '}  {goal}" for goal, is_met in checks.items()]


if __name__ == "__main__":
    main(sys.argv[1:])
