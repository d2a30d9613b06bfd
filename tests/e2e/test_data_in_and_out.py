"""Data goes in through the command line while a real server runs, and comes out of it unchanged."""

import sqlite3
import subprocess
import sys
from collections import defaultdict
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import pytest
from django.conf import settings
from django.db import connection

from liquidations.schema import COLUMNS
from liquidations.services import orders_write
from liquidations.types import ForcedOrder
from tests.factories import DAY, HOUR, T0, order
from tests.live import ROOT, LiveServer, server_environment

pytestmark = pytest.mark.slow

QUOTED = "BTCUSDT"


def orders_varied(count: int, first: int = T0) -> list[ForcedOrder]:
    """Orders of three symbols, several to a millisecond, some without an average price, some with long decimals."""
    return [
        order(
            first + number // 3 * 7 * HOUR // 10,
            ("BTCUSDT", "币安人生USDT", "BTCUSDT_240628")[number % 3 - (number % 7 == 0)],
            ("BUY", "SELL")[number % 2],
            quantity=Decimal(number * 37 + 1) / 1000,
            price=Decimal(10_000_000 + number * 13) / 700_000 // Decimal("0.0000001") * Decimal("0.0000001"),
            average_price=None if number % 11 == 0 else Decimal(10_000_000 + number * 17) / 1_000_000,
        )
        for number in range(count)
    ]


def recorder_file(path: Path, orders: list[ForcedOrder]) -> Path:
    """The 12-column form of the recorders."""
    lines = [
        ",".join(
            ["None" if value is None else f"{value:f}" if isinstance(value, Decimal) else str(value) for value in o]
        )
        for o in orders
    ]
    path.write_text("".join(f"{line},0\n" for line in lines), encoding="utf-8")
    return path


def sums_of(orders: list[ForcedOrder], start: int, end: int, timeframe: int) -> dict[tuple[int, str], float]:
    sums: dict[tuple[int, str], Fraction] = defaultdict(Fraction)
    for o in orders:
        if o.symbol == QUOTED and start <= o.order_trade_time <= end and o.average_price is not None:
            bucket = start + (o.order_trade_time - start) // timeframe * timeframe
            filled = o.order_filled_accumulated_quantity
            assert filled is not None
            sums[bucket, o.side.lower()] += Fraction(o.average_price) * Fraction(filled)
    return {key: float(value) for key, value in sums.items()}


def answer(live: LiveServer, start: int, end: int, timeframe: str) -> dict[tuple[int, str], float]:
    response = live.get(
        "/api/liquidations", symbol=QUOTED, timeframe=timeframe, start_timestamp=start, end_timestamp=end
    )
    assert response.status_code == 200, response.text
    return {(row["timestamp"], row["side"]): row["cumulated_usd_size"] for row in response.json()}


def stored() -> list[tuple[object, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {', '.join(COLUMNS)} FROM {settings.DB_LIQ_TABLENAME}")
        return sorted(cursor.fetchall(), key=repr)


@pytest.mark.usefixtures("committed")
def test_answers_are_fresh_after_each_import_into_the_database_of_a_running_server(
    live: LiveServer, tmp_path: Path
) -> None:
    orders = orders_varied(600)
    # The second file holds late orders of days whose bars have been built by then, and some known ones.
    for name, part in (("first.csv", orders[::2]), ("late.csv", orders[1::2] + orders[:40])):
        live.manage("import_liquidations", str(recorder_file(tmp_path / name, part)))
        known = orders[::2] if name == "first.csv" else orders
        for step in ("before the bars are built", "after"):
            for start, timeframe, length in ((T0, "1h", HOUR), (T0 + 123, "7h", 7 * HOUR), (T0, "1d", DAY)):
                wanted = sums_of(known, start, T0 + 30 * DAY, length)
                assert answer(live, start, T0 + 30 * DAY, timeframe) == pytest.approx(wanted, rel=1e-9), step
            live.manage("liquidation_bars", "build")


@pytest.mark.usefixtures("committed")
def test_export_and_import_give_the_same_table(live: LiveServer, tmp_path: Path) -> None:
    orders_write(orders_varied(400))
    before = stored()
    export = tmp_path / "export.jsonl"
    with export.open("wb") as file:
        for symbol in ("BTCUSDT", "币安人生USDT", "BTCUSDT_240628"):
            window = {"start_timestamp": 0, "end_timestamp": T0 + 400 * DAY}
            file.write(live.get("/api/liquidation-orders/stream", symbol=symbol, numbers="string", **window).content)
    with connection.cursor() as cursor:
        cursor.execute(f"DELETE FROM {settings.DB_LIQ_TABLENAME}")
    live.manage("import_liquidations", str(export))
    assert stored() == before


@pytest.mark.usefixtures("committed")
def test_a_running_service_is_taken_over_from_its_api(live: LiveServer, tmp_path: Path) -> None:
    orders = [*orders_varied(1500), *(order(T0, quantity=n + 1, price=n + 1) for n in range(1200))]
    orders_write(orders)
    home = tmp_path / "successor"
    command = ["import_liquidations", "--from-api", f"{live.root}/api"]
    command += [word for symbol in ("BTCUSDT", "币安人生USDT", "BTCUSDT_240628") for word in ("--symbol", symbol)]
    environment = {name: value for name, value in server_environment(home).items() if name != "REDIS_URL"}
    done = subprocess.run(
        [sys.executable, "manage.py", *command], cwd=ROOT, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    with sqlite3.connect(home / "liqui.sqlite3") as successor:
        rows = successor.execute(f"SELECT {', '.join(COLUMNS)} FROM binance_liqs").fetchall()
    exact = [tuple(float(value) if isinstance(value, Decimal) else value for value in row) for row in stored()]
    assert sorted(map(repr, normal(rows))) == sorted(map(repr, normal(exact)))


def normal(rows: list[tuple[object, ...]]) -> list[tuple[object, ...]]:
    """SQLite gives a whole number as an integer."""
    return [tuple(float(v) if isinstance(v, int) and n < 10 else v for n, v in enumerate(row)) for row in rows]
