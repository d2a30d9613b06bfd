"""python-binance, which was written for the real exchange, takes this one for it; only its host is changed."""

import asyncio
from typing import Any

from binance import AsyncClient, BinanceSocketManager
from binance.enums import FuturesType
from binance.ws.reconnecting_websocket import ReconnectingWebsocket

from streams.simulator.contracts import contracts_list
from streams.simulator.market import Market, MarketOptions
from tests.backend import sqlite_only
from tests.streams.simulator.running import SECONDS, START_MS, running

pytestmark = sqlite_only("the exchange uses no database")

OPTIONS = MarketOptions(trades_per_s=100, orders_per_s=30)


async def messages(socket: ReconnectingWebsocket, count: int) -> list[Any]:
    async with socket as stream:
        return [await asyncio.wait_for(stream.recv(), SECONDS) for _ in range(count)]


def test_python_binance_reads_its_rest_and_its_streams() -> None:
    async def main() -> None:
        market = Market(OPTIONS, contracts_list(30, START_MS), START_MS)
        async with running(market.events(), symbols=30, speed=5) as exchange:
            client = AsyncClient()
            client.FUTURES_URL = f"http://127.0.0.1:{exchange.port}/fapi"
            sockets = BinanceSocketManager(client)
            sockets.FSTREAM_URL = f"ws://127.0.0.1:{exchange.port}/"
            try:
                info = await client.futures_exchange_info()
                assert "币安人生USDT" in [each["symbol"] for each in info["symbols"]]
                assert (await client.futures_time())["serverTime"] >= START_MS
                multiplexed = sockets.futures_multiplex_socket(
                    ["!forceOrder@arr", "btcusdt@aggTrade"], FuturesType.USD_M, category="market"
                )
                by_stream = {message["stream"]: message["data"] for message in await messages(multiplexed, 100)}
                assert by_stream["!forceOrder@arr"]["e"] == "forceOrder"
                assert by_stream["btcusdt@aggTrade"]["s"] == "BTCUSDT"
                trades = sockets.aggtrade_futures_socket("btcusdt")
                assert all(message["data"]["e"] == "aggTrade" for message in await messages(trades, 5))
            finally:
                await client.close_connection()

    asyncio.run(main())
