"""An exchange in the test's own event loop, and clients of it."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import httpx
from websockets.asyncio.client import ClientConnection, connect

from streams.simulator.contracts import contracts_list
from streams.simulator.exchange import Exchange
from streams.simulator.kinds import Event, ForceOrderBody, force_order_event
from streams.simulator.listing import Listing, listings_of
from streams.simulator.market import Market, MarketOptions
from streams.simulator.player import Clock
from streams.simulator.rules import Limits
from streams.simulator.serving import Start, exchange_serving

START_MS = 1_795_000_000_000
SECONDS = 20  # that anything may take on a busy machine


class Running:
    """An exchange that is being served."""

    def __init__(self, exchange: Exchange, port: int, http: httpx.AsyncClient) -> None:
        self.exchange, self.port, self.http = exchange, port, http

    def connect(self, path: str, **options: Any) -> connect:
        # A close is not waited for long: a client that has stopped reading never sees the answer.
        return connect(f"ws://127.0.0.1:{self.port}{path}", compression=None, close_timeout=0.2, **options)

    async def get(self, path: str) -> httpx.Response:
        return await self.http.get(path)

    async def tell(self, command: str, **body: Any) -> Any:
        """Give a command; its answer."""
        answer = await self.http.post(f"/control/{command}", json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()


@asynccontextmanager
async def running(
    events: Iterable[Event] = (),
    *,
    symbols: int = 5,
    speed: float = 1.0,
    limits: Limits | None = None,
    serves_unrouted: bool = False,
    starts: Start = "at once",
    listings: Sequence[Listing] = (),
    start_ms: int = START_MS,
) -> AsyncIterator[Running]:
    contracts = contracts_list(symbols, start_ms)
    exchange = Exchange(contracts, Clock(start_ms, speed), limits or Limits(), serves_unrouted, listings)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        async with (
            exchange_serving(exchange, events, listener, starts),
            httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=SECONDS) as http,
        ):
            yield Running(exchange, port, http)


@asynccontextmanager
async def market_running(
    options: MarketOptions | None = None, *, symbols: int = 5, **others: Any
) -> AsyncIterator[Running]:
    """An exchange with a market and all that is told of it; ``others`` as for `running`."""
    market = Market(options or MarketOptions(trades_per_s=50), contracts_list(symbols, START_MS), START_MS)
    async with running(market.events(), symbols=symbols, listings=listings_of(market), **others) as exchange:
        yield exchange


def order(number: int, symbol: str = "BTCUSDT") -> ForceOrderBody:
    """The forced order with this number: its quantity, and its trade time."""
    text = str(number)
    return ForceOrderBody(
        symbol, "SELL", "LIMIT", "IOC", text, "80000.00", "80010.00", "FILLED", text, text, START_MS + number
    )


def orders(count: int) -> Iterator[Event]:
    return (force_order_event(START_MS, order(number)) for number in range(count))


async def received(client: ClientConnection) -> Any:
    """The next message, decoded."""
    return json.loads(await asyncio.wait_for(client.recv(), SECONDS))


async def asked(client: ClientConnection, **request: Any) -> Any:
    await client.send(json.dumps(request))
    return await received(client)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(SECONDS):
        while not condition():
            await asyncio.sleep(0.01)
