"""How many frames a second the exchange simulator sends: `python -m benchmarks.simulator [--seconds 5]`.

The market runs as fast as its clients read. They are plain sockets that count and understand nothing, so that what is
measured is the server: one process that makes, encodes and writes every frame.
"""

import argparse
import json
import os
import re
import selectors
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast
from urllib.parse import quote

from benchmarks.report import aligned, number
from tools.environment import clean_environment

ROOT = Path(__file__).resolve().parents[1]
GOAL = 20_000
HEAD = ("followed by", "frames/s", "events/s", "MB/s", "of one core", "frames per CPU second", f"≥ {GOAL:,}")
WARM_UP_SECONDS = 0.5
PIECE_BYTES = 1 << 20
FRAME = b'{"stream":'
HANDSHAKE = (
    "GET /market/stream?streams={streams} HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


@dataclass(frozen=True, slots=True)
class Case:
    """``clients`` that each follow all trades and forced orders of a market of ``symbols``."""

    clients: int
    symbols: int

    @property
    def name(self) -> str:
        return f"{self.clients} {'client' if self.clients == 1 else 'clients'}, {self.symbols} symbols"


CASES = (Case(1, 5), Case(1, 300), Case(10, 300), Case(100, 300))


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.simulator", description=__doc__)
    parser.add_argument("--seconds", type=float, default=5.0, help="for each row (default 5)")
    seconds = parser.parse_args(arguments).seconds
    print("\n".join(aligned([HEAD, *(row(case, seconds) for case in CASES)])))


def row(case: Case, seconds: float) -> tuple[str, ...]:
    with exchange(case.symbols) as (process_id, port):
        symbols = [each["symbol"].lower() for each in get(port, "/fapi/v1/exchangeInfo")["symbols"]]
        streams = ["!forceOrder@arr", *(f"{quote(symbol)}@aggTrade" for symbol in symbols)]
        clients = [connected(port, streams) for _ in range(case.clients)]
        read(clients, WARM_UP_SECONDS)
        events, cpu_s = get(port, "/control/state")["events"], cpu_seconds(process_id)
        began = time.perf_counter()
        frames, size = read(clients, seconds)
        elapsed = time.perf_counter() - began
        cpu_s = cpu_seconds(process_id) - cpu_s
        events = get(port, "/control/state")["events"] - events
    rates = number(frames / elapsed), number(events / elapsed), number(size / elapsed / 1e6)
    return (
        case.name,
        *rates,
        f"{cpu_s / elapsed:.0%}",
        number(frames / cpu_s),
        "yes" if frames / elapsed >= GOAL else "NO",
    )


@contextmanager
def exchange(symbols: int) -> Iterator[tuple[int, int]]:
    """Process id and port of an exchange of its own."""
    with tempfile.TemporaryDirectory(prefix="liqui-bench-") as home:
        options = ["--port", "0", "--speed", "0", "--symbols", str(symbols)]
        process = subprocess.Popen(
            [sys.executable, "manage.py", "exchange_simulator", *options],
            cwd=ROOT,
            env=clean_environment(os.environ, home),
            stdout=subprocess.PIPE,
            text=True,
        )
        with process:
            try:
                line = process.stdout.readline() if process.stdout else ""
                place = re.search(r"http://[^ ]*:(\d+)", line)
                if place is None:
                    raise SystemExit("liqui: the exchange did not start")
                yield process.pid, int(place[1])
            finally:
                process.terminate()


def get(port: int, path: str) -> Any:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}") as answer:
        return json.load(answer)


def connected(port: int, streams: Sequence[str]) -> socket.socket:
    """A socket after its handshake, whose answer is in what it reads first."""
    client = socket.create_connection(("127.0.0.1", port))
    client.sendall(HANDSHAKE.format(streams="/".join(streams)).encode())
    return client


def read(clients: Sequence[socket.socket], seconds: float) -> tuple[int, int]:
    """Frames and bytes that all clients got within so long. One cut by the end of a piece is not counted."""
    frames = size = 0
    with selectors.DefaultSelector() as selector:
        for client in clients:
            selector.register(client, selectors.EVENT_READ)
        end = time.perf_counter() + seconds
        while time.perf_counter() < end:
            for key, _ in selector.select(timeout=0.1):
                piece = cast(socket.socket, key.fileobj).recv(PIECE_BYTES)
                frames += piece.count(FRAME)
                size += len(piece)
    return frames, size


def cpu_seconds(process_id: int) -> float:
    """Processor time of a process so far, as the kernel tells it (proc(5), fields 14 and 15)."""
    fields = Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    main(sys.argv[1:])
