"""python-binance, which was written for the real exchange, takes this one for it; only its host is changed."""

import asyncio
from typing import Any

from binance import AsyncClient, BinanceSocketManager
from binance.enums import FuturesType
from binance.ws.reconnecting_websocket import ReconnectingWebsocket

from streams.simulator.contracts import contracts_list
from streams.simulator.market import Market, MarketOptions
from tests.backend import sqlite_only
from tests.streams.simulator.running import SECONDS, START_MS, market_running, running

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


def test_python_binance_reads_its_books_klines_trades_and_tickers() -> None:
    async def main() -> None:
        async with market_running(OPTIONS, symbols=30, speed=5) as exchange:
            client = AsyncClient()
            client.FUTURES_URL = f"http://127.0.0.1:{exchange.port}/fapi"
            sockets = BinanceSocketManager(client)
            sockets.FSTREAM_URL = f"ws://127.0.0.1:{exchange.port}/"
            try:
                book = await client.futures_order_book(symbol="BTCUSDT", limit=100)
                assert float(book["bids"][0][0]) < float(book["asks"][0][0])
                klines = await client.futures_klines(symbol="BTCUSDT", interval="15m", limit=20)
                assert [len(row) for row in klines] == [12] * 20
                trades = await client.futures_aggregate_trades(symbol="BTCUSDT", limit=10)
                assert len(trades) == 10
                assert (await client.futures_ticker(symbol="ETHUSDT"))["symbol"] == "ETHUSDT"
                assert len(await client.futures_mark_price()) == 30
                public = sockets.futures_multiplex_socket(
                    ["btcusdt@depth@100ms", "btcusdt@bookTicker"], FuturesType.USD_M, category="public"
                )
                assert {message["data"]["e"] for message in await messages(public, 30)} == {"depthUpdate", "bookTicker"}
                market = sockets.futures_multiplex_socket(
                    ["btcusdt@kline_1m", "btcusdt@markPrice@1s"], FuturesType.USD_M, category="market"
                )
                assert {message["data"]["e"] for message in await messages(market, 20)} == {"kline", "markPriceUpdate"}
            finally:
                await client.close_connection()

    asyncio.run(main())
