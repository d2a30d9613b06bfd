"""The whole service while things go wrong around it: what terminals are shown is the exchange's own, before and after.

Embedded, the service is one process, and what kills its collector kills it; on servers sockets outlive everything.
Other numbers, other moments: LIQUI_SEED=8 make soak ARGS="-k test_faults".
"""

import asyncio
import os
import random
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.backend import IS_SQLITE, server_only
from tests.e2e.market.faults import Fault, Stage, all_faults, common_faults
from tests.e2e.market.proof import (
    ExchangeBooks,
    all_agree,
    book_is_the_exchanges_own,
    candles_are_the_exchanges_own,
    healing,
    klines_of,
    moment,
    nothing_was_wrong,
    settle,
    trades_are_the_exchanges_own,
)
from tests.e2e.market.terminals import MINUTE_MS, CandlesWatcher, terminals_open
from tests.e2e.test_outages import connect
from tests.live import wait_until
from tests.terminal import embedded_market, server_market
from tools.servers import DURABLE, PrivateMariaDB, PrivateRedis

SEED = int(os.environ.get("LIQUI_SEED", "7"))
SPEED = 3.0  # a minute takes 20 seconds
OPTIONS = ("--symbols", "40", "--trades", "10", "--orders", "2", "--speed", str(SPEED))
SYMBOLS = ("BTCUSDT", "SOLUSDT")
HEALED_WITHIN_S = 5.0
SELECTED = (
    "SELECT open_ms, open, high, low, close, volume FROM candles "
    "WHERE symbol = '{}' AND timeframe = '1m' AND is_closed ORDER BY open_ms"
)

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """One for all tests here: each leaves it as it was."""
    home, options = tmp_path_factory.mktemp("faults"), ("--seed", str(SEED), *OPTIONS)
    if IS_SQLITE:
        with embedded_market(home, options) as market:
            path = market.collector.home / "simulated.sqlite3"
            yield Stage(market, lambda symbol: sqlite_rows(path, SELECTED.format(symbol)), SPEED)
        return
    # Its own, to be killed: others use the session's, which forget what they have just been told.
    with (
        PrivateMariaDB(DURABLE) as mariadb,
        PrivateRedis() as redis,
        server_market(mariadb, redis, home, options, database="faults") as market,
    ):
        yield Stage(market, lambda symbol: mariadb_rows(mariadb, SELECTED.format(symbol)), SPEED, mariadb, redis)


def sqlite_rows(path: Path, query: str) -> Sequence[Any]:
    with closing(sqlite3.connect(path, timeout=20)) as connection:
        return connection.execute(query).fetchall()


def mariadb_rows(mariadb: PrivateMariaDB, query: str) -> Sequence[Any]:
    with closing(connect(mariadb, "faults_simulated")) as connection, connection.cursor() as cursor:
        cursor.execute(query)
        return cursor.fetchall()


def test_books_are_the_exchanges_own_level_by_level_at_random_moments(stage: Stage) -> None:
    ages = books_compared(stage, 20, random.Random(SEED))
    print(f"\nbooks were {min(ages)} to {max(ages)} ms old, of the exchange's time")


def books_compared(stage: Stage, moments: int, chance: random.Random) -> list[int]:
    """All levels of whole books, in one process or the other; how old they were, ms of the exchange's time."""
    ages: list[int] = []
    for symbol in SYMBOLS:
        books = ExchangeBooks(stage.market.exchange, symbol, limit=1000)
        with terminals_open(stage.ports, [symbol], limit=1000) as terminals:
            for _ in range(moments // len(SYMBOLS)):
                time.sleep(chance.uniform(0.0, 0.2))
                ages.append(book_is_the_exchanges_own(stage, chance.choice(terminals).book, books))
            nothing_was_wrong(terminals)
    return ages


def test_candle_trade_and_book_agree_for_any_symbol(stage: Stage) -> None:
    listed = [each["id"] for each in stage.market.get("/api/v1/symbols").json()]
    chance = random.Random(SEED)
    for symbols in (chance.sample(listed, 5), chance.sample(listed, 5)):
        with terminals_open(stage.ports, symbols) as terminals:
            wait_until(lambda terminals=terminals: all(each.is_shown for each in terminals), 20, "all is shown")
            proved: set[str] = set()
            began_s = time.monotonic()
            while proved != set(symbols):
                assert time.monotonic() - began_s < 20, f"never told the present: {set(symbols) - proved}"
                time.sleep(chance.uniform(0.0, 0.5))
                proved |= all_agree(stage, [each for each in terminals if each.symbol not in proved])
            nothing_was_wrong(terminals)


@server_only("embedded, nobody is left to notice")
def test_what_a_dead_web_process_wanted_is_followed_no_longer_after_ten_seconds(stage: Stage) -> None:
    market, symbol = stage.market, "ADAUSDT"
    stream, web = f"{symbol.lower()}@depth@100ms", market.webs[1]
    wait_until(lambda: stream not in market.upstream(), 10, "nobody wants it")
    try:
        with market.client(f"/orderbook/{symbol}", number=1) as socket:
            socket.next("orderbook_update")
            assert stream in market.upstream()
            web.kill()
            seconds = wait_until(lambda: stream not in market.upstream(), 10, "nobody wants it any more")
    finally:
        web.start()
        web.wait_ready()
    print(f"\nunsubscribed {seconds:.1f} s after the death of the only one who wanted it")


@pytest.mark.soak
def test_a_chart_goes_on_from_its_history_whenever_it_is_opened(stage: Stage) -> None:
    """Again and again about the end of a minute, when the candle of the history is over, or about to be."""
    symbol, exchange = SYMBOLS[0], stage.market.exchange
    charts = [CandlesWatcher(stage.ports[number % len(stage.ports)], symbol) for number in range(25)]

    async def open_charts() -> None:
        tasks = []
        for chart in charts:
            tasks.append(asyncio.create_task(chart.watch()))
            await asyncio.sleep(0.1)
        await asyncio.wait(tasks, timeout=4)
        for task in tasks:
            task.cancel()

    wait_until(lambda: 50_000 < exchange.get("state")["now_ms"] % MINUTE_MS < 57_000, MINUTE_MS, "a minute ends")
    asyncio.run(open_charts())
    expected = klines_of(stage, symbol)
    for chart in charts:
        assert not chart.faults
        over = sorted(chart.chart)[-4:-1]
        assert {open_ms: chart.chart[open_ms] for open_ms in over} == {open_ms: expected[open_ms] for open_ms in over}


def test_terminals_are_shown_what_is_true_after_every_fault(stage: Stage) -> None:
    survive(stage, list(common_faults(stage).items()), random.Random(SEED))


@pytest.mark.soak
def test_terminals_are_shown_what_is_true_after_a_storm_of_faults(stage: Stage) -> None:
    chance = random.Random(SEED)
    survive(stage, chance.choices(list(all_faults(stage).items()), k=30), chance)


def survive(stage: Stage, faults: Sequence[tuple[str, Fault]], chance: random.Random) -> None:
    exchange, slow = stage.market.exchange, []
    with terminals_open(stage.ports, SYMBOLS) as terminals:
        healing(stage, terminals, moment(stage, SYMBOLS))
        print()
        for name, fault in faults:
            exchange.tell("requests")
            fault.happen(stage, chance)
            healed = healing(stage, terminals, moment(stage, SYMBOLS))
            asked = exchange.get("requests")
            print(f"{name}: {healed}, {asked}")
            if healed.books > HEALED_WITHIN_S and name in common_faults(stage):
                slow.append(f"{name}: {healed}")
            assert all(asked.get(path) for path in fault.asks), f"{name} was none: {asked}"
            assert not any(asked.get(path) for path in fault.spares), f"{name}: {asked}"
            time.sleep(chance.uniform(0.0, 1.0))
        books_compared(stage, 6, chance)
        settle(stage, terminals)
        try:
            nothing_was_wrong(terminals)
            counts = [trades_are_the_exchanges_own(stage, terminal) for terminal in terminals]
            on_charts = not any(fault.is_silent for _, fault in faults)
            candles_are_the_exchanges_own(stage, terminals, on_charts=on_charts)
        finally:
            exchange.tell("resume")
        connections = [watcher.connections for each in terminals for watcher in each.watchers]
        print(f"{counts} trades, {connections} connections")
        # On servers nothing of all this ends a client's socket.
        assert IS_SQLITE or set(connections) == {1}
    assert not slow
