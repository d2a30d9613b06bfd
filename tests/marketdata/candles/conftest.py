"""The exchange whose klines are known, as the venue of the settings."""

from collections.abc import Iterator
from typing import Any

import pytest

from marketdata.venue import venue_reset
from tests.marketdata.candles.exchange import KlineExchange, kline_exchange


@pytest.fixture
def klines(settings: Any) -> Iterator[KlineExchange]:
    with kline_exchange() as exchange:
        settings.LIQUI_FEED, settings.BINANCE_API_BASE_URL = "simulated", exchange.url
        venue_reset()
        yield exchange
        venue_reset()
