"""`manage.py exchange_simulator` as a process."""

import os
import re
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from websockets.exceptions import ConnectionClosedError, ConnectionClosedOK
from websockets.sync.client import ClientConnection, connect

from tests.backend import sqlite_only
from tests.streams.simulator.running import SECONDS, START_MS
from tools.environment import clean_environment

pytestmark = sqlite_only("the exchange uses no database")

ROOT = Path(__file__).resolve().parents[3]


def start(home: Path, *options: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "manage.py", "exchange_simulator", "--port", "0", *options],
        cwd=ROOT,
        env=clean_environment(os.environ, str(home)),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


@contextmanager
def simulator(home: Path, *options: str) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """A running one and its port."""
    with start(home, *options) as process:
        try:
            assert process.stdout
            line = process.stdout.readline()
            place = re.search(r"http://127\.0\.0\.1:(\d+) ", line)
            assert place, line + process.stdout.read()
            yield process, int(place[1])
        finally:
            process.kill()


def follow(port: int, stream: str) -> ClientConnection:
    # A close is not waited for long: a client that has stopped reading never sees the answer.
    return connect(f"ws://127.0.0.1:{port}/market/ws/{stream}", compression=None, close_timeout=0.2)


def first_orders(home: Path, *options: str) -> list[str]:
    """The first messages of a market that waits for us."""
    options = ("--start", str(START_MS), "--orders", "20", "--paused", *options)
    with simulator(home, *options) as (_, port), follow(port, "!forceOrder@arr") as client:
        httpx.post(f"http://127.0.0.1:{port}/control/resume", timeout=SECONDS)
        return [str(client.recv(timeout=SECONDS)) for _ in range(20)]


def test_two_processes_with_one_seed_send_the_same_at_any_speed(tmp_path: Path) -> None:
    assert first_orders(tmp_path, "--speed", "20") == first_orders(tmp_path, "--speed", "0")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_in_order_with_clients_connected(tmp_path: Path, number: signal.Signals) -> None:
    with simulator(tmp_path) as (process, port), follow(port, "nothing@trade") as client:
        process.send_signal(number)
        with pytest.raises(ConnectionClosedOK, match="1001"):
            client.recv(timeout=SECONDS)
        assert process.wait(SECONDS) == 0
        assert process.stdout
        assert process.stdout.read() == ""


def test_a_drop_resets_and_the_next_connection_is_served(tmp_path: Path) -> None:
    with simulator(tmp_path, "--trades", "100", "--symbols", "3") as (_, port):
        with follow(port, "btcusdt@aggTrade") as client:
            client.recv(timeout=SECONDS)
            httpx.post(f"http://127.0.0.1:{port}/control/drop", timeout=SECONDS)
            with pytest.raises(ConnectionClosedError, match="no close frame"):
                deque(client, maxlen=0)
        with follow(port, "btcusdt@aggTrade") as client:
            assert client.recv(timeout=SECONDS)


def test_a_recording_is_played_to_the_first_who_follows(tmp_path: Path, recordings: Path) -> None:
    path = str(recordings / "forceorder_frames_2021_2026.jsonl")
    with simulator(tmp_path, "--speed", "0", "--replay", path) as (_, port):
        with follow(port, "!forceOrder@arr") as client:
            lines = [str(client.recv(timeout=SECONDS)) for _ in range(7)]
        assert lines[3].startswith('{"e":"forceOrder","E":1790526547773,"o":{"s":"牛来USDT"')


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--symbols", "0"], "--symbols"),
        (["--speed", "-1"], "--speed"),
        (["--trades", "0", "--orders", "0"], "together"),
        (["--hasten", "0"], "--hasten"),
        (["--start", "1795000000"], "milliseconds"),
        (["--replay", "missing.txt"], "missing.txt"),
        (["--host", "203.0.113.1"], "cannot listen at 203.0.113.1"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(tmp_path: Path, options: list[str], words: str) -> None:
    process = start(tmp_path, *options)
    output, _ = process.communicate(timeout=SECONDS)
    assert process.returncode == 1
    assert words in output
    assert output.count("\n") == 1
