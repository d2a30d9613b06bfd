"""``python -m benchmarks.candles``: candles upserted a second, on SQLite and on a private MariaDB that is durable.

Beside `candle_upsert`: Django's own bulk upsert, which knows no precedence, and one statement or two per candle. What
is new, what changes what is there, and what changes nothing are measured apart. Last, 1m candles rolled up a second.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any

import msgspec

from benchmarks.machine import description
from benchmarks.report import aligned, number
from marketdata.timeframes import MINUTE_MS
from marketdata.types import Candle, CandleSource
from tools.environment import clean_environment
from tools.servers import DURABLE, PrivateMariaDB

ROOT = Path(__file__).resolve().parents[1]
GOAL = 10_000
CANDLES, NAIVE_CANDLES = 20_000, 200  # of one measurement
SYMBOLS = 20
START_MS = 1_700_006_400_000
BATCH = 1000

Upsert = Callable[[Sequence[Candle]], object]


def candles_make(count: int, prefix: str) -> list[Candle]:
    """Minutes of `SYMBOLS` symbols, as a backfill of them brings them: one symbol after another."""
    chance = Random(1)
    symbols = [f"{prefix}{number}USDT" for number in range(SYMBOLS)]
    return [candle(symbol, START_MS + n * MINUTE_MS, chance) for symbol in symbols for n in range(count // SYMBOLS)]


def candle(symbol: str, open_ms: int, chance: Random) -> Candle:
    low = Decimal(chance.randrange(900_000, 1_000_000)).scaleb(-1)
    volume = Decimal(chance.randrange(1, 10**9)).scaleb(-3)
    return Candle(
        venue="binance",
        symbol=symbol,
        timeframe="1m",
        open_ms=open_ms,
        open=low + 1,
        high=low + Decimal("17.3"),
        low=low,
        close=low + 2,
        volume=volume,
        quote_volume=volume * (low + 1),
        taker_buy_volume=volume / 2,
        taker_buy_quote_volume=volume * low / 2,
        trade_count=chance.randrange(1, 10_000),
    )


def changed(candles: Sequence[Candle]) -> list[Candle]:
    return [msgspec.structs.replace(each, volume=each.volume + 1) for each in candles]


def rate(upsert: Upsert, candles: Sequence[Candle]) -> float:
    began = time.perf_counter()
    upsert(candles)
    return len(candles) / (time.perf_counter() - began)


def measured() -> Iterator[tuple[str, list[float]]]:
    """Candles a second of each way: new, changed and unchanged; in the database that the environment names."""
    import django

    django.setup()
    from liqui.database_setup import database_prepare
    from marketdata.candles.keeping import candles_build
    from marketdata.candles.services import candle_upsert

    database_prepare()
    ways: dict[str, tuple[Upsert, int]] = {
        "candle_upsert": (candle_upsert, CANDLES),
        "bulk_create(update_conflicts)": (bulk_create, CANDLES),
        "update_or_create": (update_or_create, NAIVE_CANDLES),
    }
    for position, (name, (upsert, count)) in enumerate(ways.items()):
        candles = candles_make(count, f"W{position}X")
        yield name, [rate(upsert, each) for each in (candles, changed(candles), changed(candles))]
    yield "candles_build (of 1m candles)", [rate(lambda candles: candles_build(), range(CANDLES))]  # type: ignore[arg-type]


def bulk_create(candles: Sequence[Candle]) -> None:
    from django.db import connection

    from marketdata.candles.models import CandleRow
    from marketdata.candles.upserting import KEY, VALUES

    target = list(KEY) if connection.features.supports_update_conflicts_with_target else None
    rows = [CandleRow(**values_of(each)) for each in candles]
    CandleRow.objects.bulk_create(
        rows, batch_size=BATCH, update_conflicts=True, update_fields=VALUES, unique_fields=target
    )


def update_or_create(candles: Sequence[Candle]) -> None:
    from marketdata.candles.models import CandleRow
    from marketdata.candles.upserting import KEY

    for each in candles:
        values = values_of(each)
        key = {name: values.pop(name) for name in KEY}
        CandleRow.objects.update_or_create(**key, defaults=values)


def values_of(candle: Candle) -> dict[str, Any]:
    return {**msgspec.structs.asdict(candle), "source": str(CandleSource.VENUE), "precedence": 7}


def measured_by_process(home: Path, **variables: str) -> list[list[str]]:
    environment = clean_environment(os.environ, str(home)) | {"FEED": "simulated", "LOG_LEVEL": "ERROR"} | variables
    environment |= {
        "DJANGO_SETTINGS_MODULE": "liqui.settings",
        "SECRET_KEY": "for measuring",
        "JWT_SECRET": "for measuring " * 3,
    }
    command = [sys.executable, "-m", "benchmarks.candles", "--measure"]
    answer = subprocess.run(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True, check=True).stdout
    return [line.split("\t") for line in answer.splitlines()]


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="liqui-candles-") as name, PrivateMariaDB(DURABLE) as server:
        databases = {
            "SQLite": measured_by_process(Path(name) / "sqlite"),
            "MariaDB": measured_by_process(Path(name) / "server", DATABASE_URL=server.url("candles")),
        }
    lines: list[tuple[str, ...]] = [("candles a second", "", "new", "changed", "unchanged", f"≥ {number(GOAL)}")]
    for place, ways in databases.items():
        for way, *rates in ways:
            reached = "" if way != "candle_upsert" else "yes" if min(map(float, rates)) >= GOAL else "NO"
            shown = [number(float(value)) for value in rates] + [""] * (3 - len(rates))
            lines.append((place, way, *shown, reached))
    print(f"{CANDLES:,} candles of {SYMBOLS} symbols, {NAIVE_CANDLES:,} one by one. {description()}.\n")
    print("\n".join(aligned(lines)))


if __name__ == "__main__":
    if "--measure" in sys.argv:
        for way, rates in measured():
            print(way, *rates, sep="\t")
    else:
        main()
