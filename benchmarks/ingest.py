"""``python -m benchmarks.ingest``: frames that the collector takes in a second, and orders that are stored a second.

The first is one core's work for every frame: decode it, and append its order to the spool. The second is what
`orders_store` brings into the table and the outbox, on SQLite and on a private MariaDB, by the size of its batches.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.decode import NOW, force_orders
from benchmarks.machine import description
from benchmarks.report import aligned, number
from marketdata.types import Liquidation
from marketdata.venues.binance.wire import decode
from streams.collecting.spool import Spool
from tools.environment import clean_environment
from tools.servers import DURABLE, PrivateMariaDB

ROOT = Path(__file__).resolve().parents[1]
GOAL = 20_000
ROUNDS = 5
BATCHES = (1, 50, 500)
STORED = {1: 500, 50: 5000, 500: 20_000}  # orders of one measurement


def frames_rate(frames: Sequence[bytes], folder: Path) -> float:
    """Frames a second, the best of some rounds: decoded, and their orders in the spool's file."""
    rates = []
    for round in range(ROUNDS):
        spool = Spool(folder / str(round), 1 << 30)
        began = time.perf_counter()
        for frame in frames:
            for event in decode(frame, NOW):
                if isinstance(event, Liquidation):
                    spool.append(event)
        rates.append(len(frames) / (time.perf_counter() - began))
    return max(rates)


def store_rates() -> dict[int, float]:
    """Orders stored a second by batch size, in the database that the environment names; run in a process of its own."""
    import django

    django.setup()
    from liqui.database_setup import database_prepare
    from marketdata.clock import clock_ms
    from streams.outbox import orders_store

    database_prepare()
    now_ms = clock_ms()
    orders = [event for frame in force_orders() for event in decode(frame, now_ms) if isinstance(event, Liquidation)]
    rates, first = {}, 0
    for batch in BATCHES:
        chosen = orders[first : first + STORED[batch]]
        first += len(chosen)
        began = time.perf_counter()
        for start in range(0, len(chosen), batch):
            orders_store(chosen[start : start + batch], lambda position, reason: None)
        rates[batch] = len(chosen) / (time.perf_counter() - began)
    return rates


def stored_by_process(home: Path, **variables: str) -> dict[int, float]:
    environment = clean_environment(os.environ, str(home)) | {"FEED": "simulated", "LOG_LEVEL": "ERROR"} | variables
    environment |= {
        "DJANGO_SETTINGS_MODULE": "liqui.settings",
        "SECRET_KEY": "for measuring",
        "JWT_SECRET": "for measuring " * 3,
    }
    command = [sys.executable, "-m", "benchmarks.ingest", "--store"]
    answer = subprocess.run(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True, check=True).stdout
    return {int(batch): float(rate) for batch, rate in (line.split() for line in answer.splitlines())}


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="liqui-ingest-") as name, PrivateMariaDB(DURABLE) as server:
        folder = Path(name)
        taken = frames_rate(force_orders(), folder)
        databases = {
            "SQLite": stored_by_process(folder / "sqlite"),
            "MariaDB": stored_by_process(folder / "server", DATABASE_URL=server.url("ingest")),
        }
    rows = [["decode and spool", "", number(taken), "yes" if taken >= GOAL else "no"]]
    for place, rates in databases.items():
        rows += [[f"store, {place}", number(batch), number(rate), ""] for batch, rate in rates.items()]
    print(description())
    print("\n".join(aligned([["work", "a batch", "a second", f"≥ {number(GOAL)}"], *rows])))


if __name__ == "__main__":
    if "--store" in sys.argv:
        for batch, rate in store_rates().items():
            print(batch, rate)
    else:
        main()
