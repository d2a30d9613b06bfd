"""A collector process dies and another one takes its place: books heal, trades have no hole, candles neither."""

import time
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path

import pytest

from tests.backend import server_only
from tests.e2e.test_outages import connect
from tests.live import wait_until
from tests.streams.sockets import Client
from tests.terminal import DATABASE, Market, server_market
from tools.servers import PrivateMariaDB, PrivateRedis

pytestmark = [server_only("the collector is a process of its own"), pytest.mark.slow]

SYMBOL = "BTCUSDT"
# A minute of the exchange's takes three seconds.
OPTIONS = ("--seed", "7", "--symbols", "5", "--trades", "2", "--orders", "1", "--speed", "20")
MINUTE_MS = 60_000
HEAL_SECONDS = 5


@pytest.fixture
def market(private_mariadb: PrivateMariaDB, private_redis: PrivateRedis, tmp_path: Path) -> Iterator[Market]:
    with server_market(private_mariadb, private_redis, tmp_path, OPTIONS) as running:
        yield running


def stored(mariadb: PrivateMariaDB) -> Sequence[tuple[int, float, float]]:
    """Opening, close and volume of the closed minutes."""
    connection = connect(mariadb, f"{DATABASE}_simulated")
    try:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT open_ms, close, volume FROM candles WHERE symbol = %s AND timeframe = '1m' AND is_closed "
                "ORDER BY open_ms",
                [SYMBOL],
            )
            return [(row[0], float(row[1]), float(row[2])) for row in cursor.fetchall()]
    finally:
        connection.close()


def told(market: Market) -> dict[int, tuple[float, float]]:
    """Close and volume of the minutes as the exchange tells them."""
    address = f"http://127.0.0.1:{market.exchange.port}/fapi/v1/klines"
    rows = market.exchange.http.get(address, params={"symbol": SYMBOL, "interval": "1m", "limit": 500}).json()
    return {row[0]: (float(row[4]), float(row[5])) for row in rows}


def trade_ids(socket: Client, seconds: float) -> list[int]:
    """Of all trades that come for so long, oldest first."""
    ids: list[int] = []
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        ids += reversed([int(trade["id"]) for trade in socket.next("trades_update")["trades"]])
    return ids


def test_what_a_killed_collector_leaves_its_successor_takes_up(market: Market, private_mariadb: PrivateMariaDB) -> None:
    with (
        market.client(f"/orderbook/{SYMBOL}") as book,
        market.client(f"/trades/{SYMBOL}?mode=delta", number=1) as trades,
        market.client(f"/candles/{SYMBOL}/1m") as candles,
    ):
        book.next("orderbook_update")
        candles.next("candle_update")
        ids = trade_ids(trades, 2)
        wait_until(lambda: len(stored(private_mariadb)) >= 3, 30, "minutes are stored")
        before = stored(private_mariadb)[-1][0]
        market.collector.kill()
        # Two minutes are missed at the least.
        time.sleep(6)
        market.collector.start()
        market.exchange.wait_connected(3)
        assert healed_after(book) < HEAL_SECONDS
        ids += trade_ids(trades, 3)
        wait_until(lambda: stored(private_mariadb)[-1][0] >= before + 6 * MINUTE_MS, 60, "later minutes are stored")
    # None twice. One frame holds the newest hundred of what was traded in between.
    jumps = [later - earlier for earlier, later in pairwise(ids) if later != earlier + 1]
    assert len(jumps) <= 1
    assert all(jump > 1 for jump in jumps)
    rows, expected = stored(private_mariadb), told(market)
    assert all(later[0] == earlier[0] + MINUTE_MS for earlier, later in pairwise(rows))
    assert {row[0]: row[1:] for row in rows} == {row[0]: expected[row[0]] for row in rows}


def healed_after(book: Client) -> float:
    """The seconds until the book is shown again; frames of the time before are read first."""
    started_s, since_ms = time.monotonic(), time.time() * 1000
    while book.next("orderbook_update")["timestamp"] < since_ms:
        continue
    return time.monotonic() - started_s
