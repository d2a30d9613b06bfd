"""Sockets of symbols that the table knows open while the venue is silent."""

import asyncio
from threading import Event
from typing import Any

import pytest

from marketdata.models import InstrumentRow
from streams.reading import THREADS, venue_pool
from streams.sockets.market import instrument_of


@pytest.mark.usefixtures("committed")
def test_a_known_symbol_does_not_wait_for_those_who_ask_the_venue() -> None:
    InstrumentRow.objects.create(symbol="BTCUSDT", exchange="binance", asset_type="CRYPTO")
    answered = Event()
    waiting: list[Any] = [venue_pool.submit(answered.wait, 20) for _ in range(THREADS)]

    async def scenario() -> str:
        async with asyncio.timeout(5):
            return (await instrument_of("BTCUSDT")).symbol

    try:
        assert asyncio.run(scenario()) == "BTCUSDT"
    finally:
        answered.set()
        for each in waiting:
            each.result()
