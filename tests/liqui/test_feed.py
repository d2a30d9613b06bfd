"""The exchange simulator that `make run` starts for itself."""

import os
import signal
from typing import Any

import httpx

from liqui.feed import OwnExchange
from tests.backend import sqlite_only
from tests.live import wait_until

pytestmark = sqlite_only("it uses no database")


def test_an_exchange_of_ours_that_dies_is_started_again_at_its_address(settings: Any) -> None:
    # Through the fixture, which takes back what the exchange sets.
    settings.BINANCE_WS_BASE_URL, settings.BINANCE_API_BASE_URL = "ws://127.0.0.1:1", "http://127.0.0.1:1"
    settings.LIQUI_FEED = "simulated"
    exchange = OwnExchange()
    exchange.start()
    exchange.wait()
    try:
        first = exchange.process
        assert first is not None
        assert is_up(settings.BINANCE_API_BASE_URL)
        os.kill(first.pid, signal.SIGKILL)
        wait_until(lambda: exchange.process is not first, 30, "it is started again")
        wait_until(lambda: is_up(settings.BINANCE_API_BASE_URL), 30, "it serves again")
    finally:
        exchange.stop()
    assert exchange.process is not None
    exchange.process.wait(10)


def is_up(url: str) -> bool:
    try:
        return httpx.get(f"{url}/fapi/v1/ping").status_code == 200
    except httpx.TransportError:
        return False
