"""GET /api/v1/liquidation-volume/{symbol}/{timeframe}."""

import time
from collections.abc import Callable
from typing import Any

import pytest

from liquidations.volume import MAX_DAYS
from tests.factories import DAY, HOUR, T0, order

Ask = Callable[..., Any]
PATH = "/api/v1/liquidation-volume/BTCUSDT"


@pytest.mark.contract("D080")
@pytest.mark.contract("D082")
@pytest.mark.contract("D083")
@pytest.mark.contract("D085")
def test_answer_has_whole_buckets_between_the_first_and_the_last(ask: Ask, write: Any) -> None:
    filled = {"quantity": "2", "average_price": "100"}
    write([order(T0 + 5, **filled), order(T0 + 6, side="BUY", **filled), order(T0 + 2 * HOUR, **filled)])
    body = ask(f"{PATH}/1h", start_time=T0 - 1, end_time=T0 + DAY - 1).json()
    assert list(body) == ["symbol", "timeframe", "data", "start_time", "end_time"]
    assert (body["start_time"], body["end_time"]) == (T0 - 1, T0 + DAY - 1)
    assert [(bucket["total_volume"], bucket["count"]) for bucket in body["data"]] == [
        ("400.0", 2),
        ("0.0", 0),
        ("200.0", 1),
    ]
    assert body["data"][2] == {
        "time": (T0 + 2 * HOUR) // 1000,
        "buy_volume": "0.0",
        "sell_volume": "200.0",
        "total_volume": "200.0",
        "delta_volume": "-200.0",
        "buy_volume_formatted": "0.00",
        "sell_volume_formatted": "200.00",
        "total_volume_formatted": "200.00",
        "delta_volume_formatted": "200.00",
        "count": 1,
        "timestamp_ms": T0 + 2 * HOUR,
    }


@pytest.mark.contract("D080")
def test_window_is_the_last_day_by_default_and_the_symbol_upper_case(ask: Ask, write: Any) -> None:
    write([order(time.time_ns() // 1_000_000)])
    body = ask("/api/v1/liquidation-volume/btcusdt/5m", start_time=0).json()
    assert body["symbol"] == "BTCUSDT"
    assert body["end_time"] - body["start_time"] == DAY
    assert len(body["data"]) == 1


@pytest.mark.contract("D081")
@pytest.mark.contract("D086")
def test_windows_that_make_no_sense_are_refused(ask: Ask, db: None) -> None:
    for timeframe, days in MAX_DAYS.items():
        response = ask(f"{PATH}/{timeframe}", start_time=T0, end_time=T0 + days * DAY + 1)
        detail = f"Time range too large. Maximum {days} days for {timeframe} timeframe"
        assert (response.status_code, response.json()) == (400, {"detail": detail, "status_code": 400})
    response = ask(f"{PATH}/1m", start_time=T0, end_time=T0)
    assert response.json() == {"detail": "start_time must be before end_time", "status_code": 400}
    assert ask(f"{PATH}/2m").json()["detail"] == "Invalid timeframe. Must be one of: 1m, 5m, 15m, 30m, 1h, 4h, 1d"
    assert ask(f"{PATH}/1m", start_time="x").json()["detail"][0]["loc"] == ["query", "start_time"]


@pytest.mark.contract("D126")
def test_unknown_symbol_is_not_found(ask: Ask, db: None) -> None:
    response = ask("/api/v1/liquidation-volume/NOSUCH/1m")
    assert (response.status_code, response.json()) == (
        404,
        {"detail": "Symbol NOSUCH not found", "status_code": 404},
    )


def test_another_service_that_does_not_answer_is_an_error(ask: Ask, db: None, settings: Any) -> None:
    settings.LIQUIDATION_API_BASE_URL = "http://127.0.0.1:9/api"
    response = ask("/api/v1/liquidation-volume/NOSUCH/1m")
    assert (response.status_code, response.json()["detail"]) == (503, "The liquidation API cannot be reached")
