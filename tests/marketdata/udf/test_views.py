"""UDF as an independent chart reads it."""

import time
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from liquidations.services import orders_write
from marketdata.candles.models import CandleRow
from marketdata.candles.services import candle_upsert
from marketdata.models import InstrumentRow
from marketdata.timeframes import candle_open_ms, candle_shifted_ms
from marketdata.types import Candle
from marketdata.udf import views
from marketdata.udf.symbols import RESOLUTIONS
from tests.factories import DAY, HOUR, MINUTE, T0, order
from tests.marketdata.candles.making import candle
from tests.marketdata.udf.charts import Bar, Chart, Refused

ROOT = "/api/v1/udf"
Ask = Callable[..., Any]


@pytest.fixture
def ask(client: Client) -> Ask:
    def ask(name: str, **parameters: Any) -> Any:
        return client.get(f"{ROOT}/{name}", parameters)

    return ask


@pytest.fixture
def listed(db: None) -> None:
    for symbol, tick, is_active in (("BTCUSDT", "0.1", True), ("ETHUSDT", "0.25", True), ("OLDUSDT", "1", False)):
        InstrumentRow.objects.create(
            symbol=symbol,
            base_asset=symbol.removesuffix("USDT"),
            quote_asset="USDT",
            contract_type="PERPETUAL",
            tick_size=Decimal(tick),
            lot_size=Decimal("0.001"),
            is_active=is_active,
        )


@pytest.fixture
def chart(ask: Ask, listed: None) -> Chart:
    return Chart(lambda name, parameters: ask(name, **parameters).content.decode())


def kept(opens: Sequence[int], timeframe: str = "1m") -> list[Candle]:
    """Candles that open at these times are all that are in the table; they differ from each other."""
    CandleRow.objects.all().delete()
    candles = [candle(open_ms, 100 + number, timeframe=timeframe) for number, open_ms in enumerate(sorted(opens))]
    candle_upsert(candles)
    return candles


def test_a_chart_finds_and_resolves_a_symbol(chart: Chart) -> None:
    assert chart.config["supported_resolutions"] == list(RESOLUTIONS)
    assert chart.config["supports_marks"] is True
    found = chart.ask("search", query="eth", type="", exchange="", limit=30)
    assert [each["symbol"] for each in found] == ["ETHUSDT"]
    for name in (found[0]["full_name"], found[0]["ticker"]):
        info = chart.symbol(name)
        assert (info["name"], info["minmov"], info["pricescale"]) == ("ETHUSDT", 25, 100)
    # It has a history.
    assert chart.symbol("OLDUSDT")["name"] == "OLDUSDT"
    assert "OLDUSDT" not in str(chart.ask("search", query=""))


def test_search_filters_by_type_and_exchange_and_stops_at_its_limit(chart: Chart) -> None:
    assert len(chart.ask("search", query="", type="crypto", exchange="BINANCE", limit=1)) == 1
    assert chart.ask("search", query="BTC", type="stock") == []
    assert chart.ask("search", query="BTC", exchange="NYSE") == []
    with pytest.raises(Refused, match="limit must be a whole number"):
        chart.ask("search", query="BTC", limit="many")


def test_the_table_of_symbols_has_every_active_one(chart: Chart) -> None:
    for group in ("", "BINANCE"):
        table = chart.ask("symbol_info", group=group)
        assert dict(zip(table["symbol"], table["pricescale"], strict=True)) == {"BTCUSDT": 10, "ETHUSDT": 100}
    with pytest.raises(Refused, match="unknown_group NYSE"):
        chart.ask("symbol_info", group="NYSE")


def test_the_clock_is_plain_text(ask: Ask, chart: Chart) -> None:
    assert abs(chart.clock_s() - time.time()) < 5
    assert ask("time").headers["Content-Type"].startswith("text/plain")


def test_refusals_are_the_protocols_own(ask: Ask, listed: None) -> None:
    unknown = {"s": "error", "errmsg": "unknown_symbol Symbol BTCUSD not found. Did you mean: BTCUSDT?"}
    response = ask("symbols", symbol="BTCUSD")
    assert (response.status_code, response.json()) == (404, unknown)
    window = {"from": 0, "to": 1}
    response = ask("history", symbol="BTCUSD", resolution="1", **window)
    assert (response.status_code, response.json()) == (200, unknown)
    response = ask("history", symbol="BTCUSDT", resolution="7", **window)
    assert response.status_code == 200
    assert response.json() == {"s": "error", "errmsg": f"resolution must be one of: {', '.join(RESOLUTIONS)}"}
    for parameters, text in (
        ({"from": "x", "to": 1}, "from must be a whole number"),
        ({"to": 1}, "from or countback is needed"),
    ):
        response = ask("history", symbol="BTCUSDT", resolution="1", **parameters)
        assert (response.status_code, response.json()) == (200, {"s": "error", "errmsg": text})
    response = ask("marks", symbol="BTCUSD", resolution="1", **window)
    assert (response.status_code, response.json()) == (200, unknown)


def test_other_methods_are_refused(client: Client) -> None:
    assert client.post(f"{ROOT}/config").status_code == 405


@pytest.mark.parametrize("resolution", list(RESOLUTIONS))
def test_every_resolution_has_its_candles(chart: Chart, resolution: str) -> None:
    timeframe = RESOLUTIONS[resolution]
    first = candle_open_ms(timeframe, T0)
    opens = [candle_shifted_ms(timeframe, first, count) for count in range(3)]
    # These are rolled up of days.
    kept([first + day * DAY for day in range(9)], "1d") if timeframe == "3d" else kept(opens, timeframe)
    bars, _ = chart.bars("BTCUSDT", resolution, to=opens[-1] // 1000 + 1, countback=10)
    assert [bar.time_s * 1000 for bar in bars] == opens


def test_bars_end_before_to_and_begin_with_from(chart: Chart) -> None:
    candles = kept([T0 + count * MINUTE for count in range(5)])
    bars, _ = chart.bars("BTCUSDT", "1", **{"from": (T0 + MINUTE) // 1000}, to=(T0 + 3 * MINUTE) // 1000)
    assert bars == [
        Bar(each.open_ms // 1000, *map(float, (each.open, each.high, each.low, each.close, each.volume)))
        for each in candles[1:3]
    ]


def test_times_before_1970_and_in_the_far_future_are_no_trouble(chart: Chart) -> None:
    kept([T0, T0 + MINUTE])
    bars, _ = chart.bars("BTCUSDT", "1", **{"from": -(10**12)}, to=10**18)
    assert len(bars) == 2
    assert chart.bars("BTCUSDT", "1M", **{"from": -5}, to=-4) == ([], None)
    assert chart.bars("BTCUSDT", "1", to=10**18, countback=10**18) == (bars, None)


minutes = st.sets(st.integers(0, 400), min_size=1, max_size=40)


@hypothesis_settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=15)
@given(minutes, st.integers(1, 50), st.integers(1, 120))
def test_paging_back_meets_every_candle_once(chart: Chart, minutes: set[int], countback: int, window: int) -> None:
    times = [each.open_ms // 1000 for each in kept([T0 + minute * MINUTE for minute in minutes])]
    end_s = T0 // 1000 + 500 * 60
    assert [bar.time_s for bar in chart.scrolled_back("BTCUSDT", "1", end_s, countback)] == times
    assert [bar.time_s for bar in chart.windows_back("BTCUSDT", "1", end_s, window * 60)] == times


def test_marks_show_large_liquidations_on_their_bars(chart: Chart, settings: Any) -> None:
    settings.UDF_MARKS_MIN_USD = 100_000
    orders_write(
        [
            order(T0 + HOUR + 5 * MINUTE, quantity="10", average_price="50000"),
            order(T0 + 90_000, side="BUY", quantity="4", average_price="50000"),
            order(T0 + 95_000, quantity="1", average_price="50000"),
            order(T0 + 95_000, symbol="ETHUSDT", quantity="1000", average_price="5000"),
        ]
    )
    marks = chart.marks("BTCUSDT", "60", T0 // 1000, (T0 + HOUR) // 1000)
    assert [(mark["time"] * 1000, mark["color"], mark["text"]) for mark in marks] == [
        (T0, "green", "Short liquidated: 200,000 USDT at 50000, 00:01:30 UTC"),
        (T0 + HOUR, "red", "Long liquidated: 500,000 USDT at 50000, 01:05:00 UTC"),
    ]
    assert marks[0]["minSize"] < marks[1]["minSize"]
    # The bar at the right end counts whole, what lies beyond it not at all.
    assert len(chart.marks("BTCUSDT", "60", T0 // 1000, T0 // 1000 + 1)) == 1
    assert chart.marks("OLDUSDT", "1", 0, T0 // 1000) == []


def test_a_feed_without_marks_says_so(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(views, "sources", [])
    assert ask("config").json()["supports_marks"] is False
