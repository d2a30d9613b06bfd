"""Instruments as UDF charts know them."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketdata.timeframes import TIMEFRAMES
from marketdata.types import Instrument
from marketdata.udf.symbols import (
    RESOLUTIONS,
    price_scale,
    search,
    symbol_info,
    symbol_of,
    symbol_table,
    timeframe_of,
)


def instrument(symbol: str = "BTCUSDT", tick: str | None = "0.1", lot: str | None = "0.001") -> Instrument:
    return Instrument(
        venue="binance",
        symbol=symbol,
        base_asset=symbol.removesuffix("USDT"),
        quote_asset="USDT",
        contract_type="PERPETUAL",
        status="TRADING",
        is_active=True,
        tick_size=Decimal(tick) if tick else None,
        lot_size=Decimal(lot) if lot else None,
    )


@pytest.mark.parametrize(
    ("tick", "scale"),
    [("0.25", (25, 100)), ("0.1", (1, 10)), ("1", (1, 1)), ("10", (10, 1)), ("1E-7", (1, 10**7)), (None, (1, 100))],
)
def test_the_price_step_is_minmov_over_pricescale(tick: str | None, scale: tuple[int, int]) -> None:
    assert price_scale(instrument(tick=tick)) == scale


@given(st.decimals("0.00000001", "1000", places=8).filter(bool))
def test_the_scale_gives_the_exact_step_back(tick: Decimal) -> None:
    minmov, pricescale = price_scale(instrument(tick=str(tick)))
    assert Decimal(minmov) / pricescale == tick
    assert str(pricescale).rstrip("0") == "1"


def test_resolutions_name_every_timeframe_once() -> None:
    assert list(RESOLUTIONS.values()) == list(TIMEFRAMES)
    assert [timeframe_of(text) for text in ("D", "W", "M", "60", "1M", "1m", "7")] == [
        *("1d", "1w", "1M", "1h", "1M"),
        *(None, None),
    ]


def test_symbols_may_have_the_exchange_before_them() -> None:
    assert symbol_of("BINANCE:BTCUSDT") == symbol_of("binance:BTCUSDT") == symbol_of("BTCUSDT") == "BTCUSDT"
    assert symbol_of("NYSE:AAPL") == "NYSE:AAPL"
    assert symbol_of("BINANCE:") == "BINANCE:"


def test_a_chart_is_told_what_it_needs_of_a_symbol() -> None:
    info = symbol_info(instrument("ETHUSDT", "0.25"))
    told = {
        "name": "ETHUSDT",
        "ticker": "ETHUSDT",
        "description": "ETH/USDT perpetual",
        "type": "crypto",
        "session": "24x7",
        "timezone": "Etc/UTC",
        "minmov": 25,
        "pricescale": 100,
        "has_intraday": True,
        "volume_precision": 3,
    }
    assert {name: info[name] for name in told} == told
    assert info["supported_resolutions"] == list(RESOLUTIONS)
    assert set(info["intraday_multipliers"]) < set(RESOLUTIONS)


def test_a_row_of_the_table_says_what_the_symbol_alone_says() -> None:
    instruments = [instrument(), instrument("ETHUSDT", "0.25")]
    table = symbol_table(instruments)
    names = {"symbol": "name", "minmovement": "minmov", "session-regular": "session", "exchange-listed": "exchange"}
    for number, each in enumerate(instruments):
        info = symbol_info(each)
        for column, values in table.items():
            is_shared = not isinstance(values, list) or column in ("intraday-multipliers", "supported-resolutions")
            value = values if is_shared else values[number]
            name = names.get(column, column.replace("-", "_"))
            assert value == info[name if name in info else "exchange"], column


def test_search_finds_the_same_name_before_beginnings_and_these_before_the_rest() -> None:
    listed = [instrument(symbol) for symbol in ("1000BTCUSDT", "BTCUSDT_251226", "ETHUSDT", "BTCUSDT", "BTCDOMUSDT")]
    assert [each["symbol"] for each in search(listed, "btcusdt", 10)] == ["BTCUSDT", "BTCUSDT_251226", "1000BTCUSDT"]
    assert [each["symbol"] for each in search(listed, "BINANCE:ETH", 10)] == ["ETHUSDT"]
    assert [each["symbol"] for each in search(listed, "BTC/USDT", 10)] == ["1000BTCUSDT", "BTCUSDT"]
    assert len(search(listed, "", 3)) == 3
    assert search(listed, "XRP", 3) == []
