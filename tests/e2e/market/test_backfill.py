"""A backfill that Celery's workers share."""

import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.backend import server_only
from tests.e2e.live.programs import START_SECONDS, Program
from tests.e2e.test_outages import connect
from tests.live import wait_until
from tests.terminal import SHARED_DATABASE, Market
from tools.servers import PrivateMariaDB, PrivateRedis

pytestmark = [server_only("embedded, the command does the work itself"), pytest.mark.slow]

SYMBOLS = ("ADAUSDT", "XRPUSDC")
MINUTE_MS = 60_000
MINUTES = 12_000  # two parts of each symbol
SINCE_MS = (time.time_ns() // 1_000_000 // MINUTE_MS - 40_000) * MINUTE_MS
UNTIL_MS = SINCE_MS + MINUTES * MINUTE_MS
COMPARED = 500


@pytest.fixture
def worked(market: Market, session_redis: PrivateRedis, tmp_path: Path) -> Iterator[dict[str, str]]:
    """The variables of programs whose tasks a worker does."""
    variables = {**market.collector.variables, "CELERY_BROKER_URL": session_redis.url(1)}
    arguments = ("-m", "celery", "-A", "liqui", "worker", "--pool", "threads", "--concurrency", "2")
    with Program("worker", tmp_path, arguments, variables) as worker:
        wait_until(lambda: "cache warmed" in worker.log, START_SECONDS, "the worker has done its first task")
        yield variables


def test_workers_share_the_parts_of_all_symbols_and_store_nothing_twice(
    market: Market, worked: dict[str, str], session_mariadb: PrivateMariaDB, tmp_path: Path
) -> None:
    command = ("manage.py", "backfill_candles", *SYMBOLS, "--since", str(SINCE_MS), "--until", str(UNTIL_MS))
    for name in ("first", "again"):
        printed = Program(name, tmp_path, command, worked).run()
        assert "4 parts are with the workers" in printed
        assert "24,000 candles of 24,000 are there" in printed
    for symbol in SYMBOLS:
        rows = stored(session_mariadb, symbol)
        assert [row[0] for row in rows] == list(range(SINCE_MS, UNTIL_MS, MINUTE_MS))
        assert rows[:COMPARED] == told(market, symbol)


def stored(mariadb: PrivateMariaDB, symbol: str) -> Sequence[tuple[int, float, float]]:
    """Opening, close and volume of the minutes in the table."""
    connection = connect(mariadb, f"{SHARED_DATABASE}_simulated")
    try:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT open_ms, close, volume FROM candles WHERE symbol = %s AND timeframe = '1m' AND open_ms >= %s "
                "AND open_ms < %s ORDER BY open_ms",
                [symbol, SINCE_MS, UNTIL_MS],
            )
            return [(row[0], float(row[1]), float(row[2])) for row in cursor.fetchall()]
    finally:
        connection.close()


def told(market: Market, symbol: str) -> Sequence[tuple[int, float, float]]:
    """The same of the first of them, as the exchange tells it."""
    address = f"http://127.0.0.1:{market.exchange.port}/fapi/v1/klines"
    asked = {"symbol": symbol, "interval": "1m", "startTime": SINCE_MS, "limit": COMPARED}
    return [(row[0], float(row[4]), float(row[5])) for row in market.exchange.http.get(address, params=asked).json()]
