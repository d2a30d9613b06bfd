"""The REST client and the process's access to the venue, against the exchange simulator."""

import asyncio
from typing import Any

import pytest
from django.db import connection
from prometheus_client import REGISTRY

from marketdata.errors import UnknownSymbol, VenuePayloadError
from marketdata.formatting import decimal_places
from marketdata.models import InstrumentRow
from marketdata.services import instruments_sync
from marketdata.symbols.service import symbols_traded
from marketdata.venue import venue
from marketdata.venues.binance.rest import BinanceREST
from tests.streams.simulator.running import Running, market_running

CALLERS = 10


def use(settings: Any, running: Running) -> None:
    settings.BINANCE_API_BASE_URL, settings.LIQUI_FEED = f"http://127.0.0.1:{running.port}", "simulated"


def look(base_url: str) -> None:
    """Everything that is asked of a venue, and how it fits together."""
    with BinanceREST(base_url) as rest:
        steps = {each.symbol: (each.tick_size, each.lot_size) for each in rest.instruments()}
        symbol = "BTCUSDT"
        tick_size, lot_size = steps[symbol]
        assert tick_size
        assert lot_size
        book = rest.depth(symbol, 100)
        bids, asks = [price for price, _ in book.bids], [price for price, _ in book.asks]
        assert (bids, asks) == (sorted(bids, reverse=True), sorted(asks))
        assert bids[0] < asks[0]
        assert all(price % tick_size == 0 and quantity % lot_size == 0 for price, quantity in book.bids + book.asks)
        candles = rest.klines(symbol, "1m", limit=200)
        opens = [candle.open_ms for candle in candles]
        assert opens == list(range(opens[0], opens[0] + 200 * 60_000, 60_000))
        assert all(candle.is_closed for candle in candles[:-1])
        trades = rest.agg_trades(symbol, limit=50)
        ids = [trade.id for trade in trades]
        assert ids == list(range(ids[0], ids[0] + 50))
        assert [trade.id for trade in rest.agg_trades(symbol, from_id=ids[10], limit=5)] == ids[10:15]
        tickers = {ticker.symbol: ticker for ticker in rest.tickers()}
        assert set(tickers) == set(steps)
        assert abs(tickers[symbol].last_price / trades[-1].price - 1) < 0.1
        assert decimal_places(tickers[symbol].last_price) <= decimal_places(tick_size)
        assert rest.is_simulated
        assert rest.limits.used_weight > 0
        with pytest.raises(UnknownSymbol, match="does not know the symbol NOPEUSDT"):
            rest.depth("NOPEUSDT")
        with pytest.raises(VenuePayloadError):
            rest.klines(symbol, "2m")


def test_everything_that_is_asked_of_the_simulator_is_understood_and_fits_together() -> None:
    async def ask() -> None:
        async with market_running() as running:
            await asyncio.to_thread(look, f"http://127.0.0.1:{running.port}")

    asyncio.run(ask())


def test_the_figures_of_shared_requests_are_what_the_simulator_saw(settings: Any) -> None:
    asyncio.run(share(settings))


async def share(settings: Any) -> None:
    async with market_running() as running:
        use(settings, running)
        before, weight = counted(), await used_weight(running)
        answers = await asyncio.gather(
            *(asyncio.to_thread(venue().agg_trades, "BTCUSDT", limit=5) for _ in range(CALLERS))
        )
        requests = len({id(answer) for answer in answers})
        assert [after - earlier for after, earlier in zip(counted(), before, strict=True)] == [
            requests,
            CALLERS - requests,
        ]
        # One request for trades weighs 20, the one that tells so 1.
        assert await used_weight(running) == weight + 20 * requests + 1


def counted() -> tuple[float, float]:
    """Requests, and callers that shared one of another's."""
    path = {"path": "/fapi/v1/aggTrades"}
    requests = REGISTRY.get_sample_value("liqui_venue_requests_total", path | {"outcome": "ok"})
    return requests or 0.0, REGISTRY.get_sample_value("liqui_venue_shared_total", path) or 0.0


async def used_weight(running: Running) -> int:
    return int((await running.get("/fapi/v1/ping")).headers["X-MBX-USED-WEIGHT-1M"])


@pytest.mark.django_db(transaction=True)
def test_the_table_is_filled_from_the_simulator_volumes_included(settings: Any) -> None:
    async def fill() -> None:
        async with market_running() as running:
            use(settings, running)
            await asyncio.to_thread(sync)

    def sync() -> None:
        instruments_sync()
        connection.close()

    asyncio.run(fill())
    assert InstrumentRow.objects.count() == 5
    assert all(each.volume_24h and each.last_price for each in symbols_traded())
