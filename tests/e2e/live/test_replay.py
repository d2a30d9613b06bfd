"""`manage.py serve` with FEED=replay:FILE: what was recorded is played, collected, stored and shown as simulated."""

import json
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import zstandard

from streams.raw_frames import RawFrame, raw_frame_line
from tests.backend import sqlite_only
from tests.live import serving, wait_until
from tests.streams.sockets import client

pytestmark = sqlite_only("it brings a SQLite of its own")

SECONDS = 30
START_MS = 1_795_000_000_000
PAUSE_MS = 200
COUNT = 5


def recorded(path: Path) -> Path:
    """Forced orders of one symbol, as the recorder writes them."""
    lines = [raw_frame_line(RawFrame(at, frame(at, number))) for number, at in enumerate(times_ms())]
    path.write_bytes(zstandard.compress(b"".join(lines)))
    return path


def times_ms() -> range:
    return range(START_MS, START_MS + COUNT * PAUSE_MS, PAUSE_MS)


def frame(at: int, number: int) -> str:
    order = {
        **{"s": "BTCUSDT", "S": "SELL", "o": "LIMIT", "f": "IOC", "X": "FILLED", "T": at - 3},
        **{"q": f"{number + 1}", "p": "80000.5", "ap": "80010.2", "l": f"{number + 1}", "z": f"{number + 1}"},
    }
    event = {"e": "forceOrder", "E": at, "o": order}
    return json.dumps({"stream": "!forceOrder@arr", "data": event}, separators=(",", ":"))


def stored(path: Path) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(path, timeout=20)) as connection:
        query = "SELECT symbol, order_trade_time, original_quantity FROM binance_liqs ORDER BY order_trade_time"
        return connection.execute(query).fetchall()


@pytest.mark.slow
def test_recorded_frames_reach_the_table_and_a_socket(db: None, tmp_path: Path) -> None:
    path = recorded(tmp_path / "frames.jsonl.zst")
    feed = {"FEED": f"replay:{path}", "DATABASE_URL": "", "REDIS_URL": "", "CELERY_BROKER_URL": ""}
    with serving("asgi", tmp_path, **feed) as server:
        began = time.monotonic()
        while server.get("/health").json()["components"]["collector"].get("stored", 0) < COUNT:
            assert time.monotonic() - began < SECONDS, server.log
            time.sleep(0.1)
        # What came before we did is had by its number.
        with client(server, "/liquidations?since=0") as socket:
            told = socket.next("feed")
            assert (told["feed"], told["simulated"], told["complete"]) == ("replay", True, True)
            frames = socket.orders(COUNT)
        assert [(each["sequence"], each["data"]["quantity"]) for each in frames] == [
            (number, str(number)) for number in range(1, COUNT + 1)
        ]
        health = server.get("/health").json()
        assert (health["feed"], health["components"]["collector"]["simulated"]) == ("replay", True)
        wait_until(lambda: len(stored(tmp_path / "simulated.sqlite3")) == COUNT, SECONDS, "all are in the table")
        assert [row[:2] for row in stored(tmp_path / "simulated.sqlite3")] == [("BTCUSDT", at - 3) for at in times_ms()]
