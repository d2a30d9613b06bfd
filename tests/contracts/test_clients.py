"""A client written from the contract's C.1 and C.2 runs against a real server: rows D063, D064 and D066."""

import asyncio
import json
import time
from collections.abc import Callable, Coroutine
from decimal import Decimal
from typing import Any

import aiohttp
import pytest

from tests.bulk import rows_fill
from tests.factories import DAY, HOUR, MINUTE, T0, order
from tests.live import LiveServer

TIMEFRAMES_MS = {"1m": MINUTE, "5m": 5 * MINUTE, "15m": 15 * MINUTE, "1h": HOUR, "4h": 4 * HOUR, "1d": DAY}

Write = Callable[..., Any]


class TerminalClient:
    """What the trading terminal does with liqui_api: no retry, no conversion that it does not do itself."""

    def __init__(self, base: str) -> None:
        self.base = base

    async def fetch(self, path: str, seconds: float, parameters: dict[str, Any]) -> list[dict[str, Any]]:
        timeout = aiohttp.ClientTimeout(total=seconds)
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.get(f"{self.base}{path}", params=parameters, allow_redirects=False) as response,
        ):
            if response.status != 200:
                return []
            # Raises unless the content type is application/json.
            return await response.json()

    async def newest(self, symbol: str, limit: int = 50) -> list[dict[str, Any]]:
        rows = await self.fetch("/liquidation-orders", 15, {"symbol": symbol, "limit": limit})
        converted = [
            {
                "quantity": Decimal(row.get("order_filled_accumulated_quantity", "0")),
                "price": Decimal(row.get("average_price", "0")),
                "seconds": row["order_trade_time"] / 1000,
                "side": row["side"].upper(),
            }
            for row in rows
        ]
        return sorted(converted, key=lambda row: row["seconds"], reverse=True)

    async def buckets(self, symbol: str, timeframe: str, start_ms: int, end_ms: int) -> dict[int, dict[str, Decimal]]:
        parameters = {"symbol": symbol, "timeframe": timeframe}
        parameters |= {"start_timestamp": str(start_ms)} if start_ms else {}
        parameters |= {"end_timestamp": str(end_ms)} if end_ms else {}
        length = TIMEFRAMES_MS[timeframe]
        volumes: dict[int, dict[str, Decimal]] = {}
        for row in await self.fetch("/liquidations", 120, parameters):
            if not row.get("timestamp") or row["side"].upper() not in ("BUY", "SELL"):
                continue
            sides = volumes.setdefault(row["timestamp"] // length * length, {"BUY": Decimal(0), "SELL": Decimal(0)})
            sides[row["side"].upper()] += Decimal(str(row["cumulated_usd_size"]))
        return volumes


@pytest.fixture
def terminal(live: LiveServer) -> TerminalClient:
    return TerminalClient(f"{live.root}/api")


def twice(make: Callable[[], Coroutine[Any, Any, Any]]) -> tuple[Any, Any]:
    """Cold, and warm."""
    return asyncio.run(make()), asyncio.run(make())


@pytest.mark.contract("D063")
def test_the_terminal_gets_fifty_orders_cold_and_warm(write: Write, terminal: TerminalClient) -> None:
    write(
        [
            order(T0 + at, side="BUY" if at % 3 else "SELL", average_price=None if at == 59 else "94809.6")
            for at in range(60)
        ]
    )
    cold, warm = twice(lambda: terminal.newest("BTCUSDT"))
    assert cold == warm
    assert len(cold) == 50
    assert [row["seconds"] for row in cold] == [(T0 + at) / 1000 for at in range(59, 9, -1)]
    assert {row["side"] for row in cold} == {"BUY", "SELL"}
    assert float(cold[0]["price"]) == 42000.5
    assert float(cold[1]["price"]) == 94809.6
    assert {row["quantity"] for row in cold} == {Decimal("0.5")}


@pytest.mark.contract("D063")
def test_the_terminal_gets_an_empty_list_for_a_symbol_without_orders(write: Write, terminal: TerminalClient) -> None:
    write([order()])
    assert twice(lambda: terminal.newest("NONEUSDT")) == ([], [])


@pytest.mark.contract("D064")
@pytest.mark.parametrize("timeframe", TIMEFRAMES_MS)
def test_the_terminal_gets_buckets_cold_and_warm(write: Write, terminal: TerminalClient, timeframe: str) -> None:
    length = TIMEFRAMES_MS[timeframe]
    orders = [
        order(T0 + number * length // 3, side="BUY" if number % 2 else "SELL", quantity=str(1 + number))
        for number in range(600)
    ]
    write(orders)
    expected: dict[int, dict[str, Decimal]] = {}
    for each in orders:
        sides = expected.setdefault(each.order_trade_time // length * length, {"BUY": Decimal(0), "SELL": Decimal(0)})
        assert each.average_price
        assert each.order_filled_accumulated_quantity
        sides[each.side] += each.average_price * each.order_filled_accumulated_quantity
    cold, warm = twice(lambda: terminal.buckets("BTCUSDT", timeframe, T0, T0 + 200 * length - 1))
    assert cold == warm
    assert cold.keys() == expected.keys()
    for opened, sides in expected.items():
        assert {side: float(volume) for side, volume in cold[opened].items()} == pytest.approx(
            {side: float(volume) for side, volume in sides.items()}, rel=1e-12
        )


@pytest.mark.contract("D064")
def test_the_terminal_that_leaves_a_timestamp_out_gets_nothing_and_no_exception(
    write: Write, terminal: TerminalClient
) -> None:
    write([order()])
    assert asyncio.run(terminal.buckets("BTCUSDT", "1h", 0, T0)) == {}


@pytest.mark.contract("D066")
@pytest.mark.parametrize("start_ms", [T0, T0 + 123], ids=["aligned", "unaligned"])
def test_a_thousand_daily_buckets_are_answered_within_a_second(write: Write, live: LiveServer, start_ms: int) -> None:
    rows_fill(100_000, step_ms=1000 * DAY // 100_000)
    seconds = []
    # The best of three: the machine may be busy with something else. Never the same window, which would be cached.
    for attempt in range(3):
        parameters = {"start_timestamp": start_ms, "end_timestamp": start_ms + 1000 * DAY - 1 - attempt}
        began = time.perf_counter()
        response = live.get("/api/liquidations", symbol="BTCUSDT", timeframe="1d", **parameters)
        seconds.append(time.perf_counter() - began)
    assert min(seconds) < 1
    rows = json.loads(response.content)
    assert len(rows) == 2000
    assert {row["side"] for row in rows} == {"buy", "sell"}
