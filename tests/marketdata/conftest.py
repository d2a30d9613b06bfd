"""A small real HTTP server that stands for the exchange."""

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import msgspec
import pytest

from marketdata.symbols.service import symbols_reset
from marketdata.venue import venue_reset


@dataclass
class Exchange:
    """What the server answers next, and what it was asked."""

    url: str = ""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b"{}"
    bodies: dict[str, bytes] = field(default_factory=dict)  # instead, by path
    date: str = ""  # instead of the present time
    delay_s: float = 0.0
    asked: list[str] = field(default_factory=list)

    def lists(self, *symbols: dict[str, Any], limit: int = 2400) -> None:
        """Answer exchangeInfo with these symbols."""
        rate = {"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": limit}
        self.body = msgspec.json.encode({"serverTime": 1, "rateLimits": [rate], "symbols": symbols})

    def trades(self, **volumes: tuple[str, str]) -> None:
        """Answer the 24h tickers with these symbols' last prices and volumes."""
        rows = [
            {"symbol": symbol, "lastPrice": price, "quoteVolume": volume, "count": 1}
            for symbol, (price, volume) in volumes.items()
        ]
        self.bodies["/fapi/v1/ticker/24hr"] = msgspec.json.encode(rows)


def listed(symbol: str, base: str = "", quote: str = "USDT", **changes: Any) -> dict[str, Any]:
    """A symbol as exchangeInfo has it."""
    tick, lot = changes.pop("tick", "0.10"), changes.pop("lot", "0.001")
    return {
        "symbol": symbol,
        "baseAsset": base or symbol.removesuffix(quote),
        "quoteAsset": quote,
        "status": "TRADING",
        "contractType": "PERPETUAL",
        "filters": [
            {"filterType": "PRICE_FILTER", "minPrice": "1", "tickSize": tick},
            {"filterType": "LOT_SIZE", "stepSize": lot},
        ],
        **changes,
    }


@pytest.fixture(autouse=True)
def forgotten_venue() -> Iterator[None]:
    """What one test's venue allowed is not the next one's."""
    yield
    venue_reset()
    symbols_reset()


@pytest.fixture
def exchange() -> Iterator[Exchange]:
    state = Exchange()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            state.asked.append(self.path)
            time.sleep(state.delay_s)
            body = state.bodies.get(self.path.partition("?")[0], state.body)
            self.send_response(state.status)
            for name, value in ({"Content-Length": str(len(body))} | state.headers).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def date_time_string(self, timestamp: float | None = None) -> str:
            return state.date or super().date_time_string(timestamp)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        state.url = f"http://127.0.0.1:{server.server_port}"
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield state
        server.shutdown()
        thread.join()
