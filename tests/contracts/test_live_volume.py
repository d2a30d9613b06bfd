"""GET /api/v1/liquidation-volume/{symbol}/{timeframe}."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as configured
from django.db import connection

from liquidations.schema import COLUMNS
from liquidations.table import table_profile_reset
from liquidations.volume import MAX_DAYS
from tests.factories import DAY, HOUR, T0, order
from tests.live import serving

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


def test_another_service_is_the_source_of_symbols_that_the_table_lacks(
    ask: Ask, write: Any, settings: Any, tmp_path: Path
) -> None:
    write([order(T0)])
    rows = tmp_path / "rows.csv"
    lines = (f"ETHUSDT,{side},LIMIT,IOC,2,100,100,FILLED,2,2,{at},0" for side, at in [("SELL", T0), ("BUY", T0 + HOUR)])
    rows.write_text("".join(f"{line}\n" for line in lines))
    with serving("asgi", tmp_path, DATABASE_URL=f"sqlite:///{tmp_path / 'other.sqlite3'}") as other:
        other.manage("import_liquidations", str(rows))
        settings.LIQUIDATION_API_BASE_URL = f"{other.root}/api"
        window = {"start_time": T0 - 1, "end_time": T0 + DAY - 1}
        body = ask("/api/v1/liquidation-volume/ETHUSDT/1h", **window).json()
        assert [(each["timestamp_ms"], each["buy_volume"], each["sell_volume"]) for each in body["data"]] == [
            (T0, "0.0", "200.0"),
            (T0 + HOUR, "200.0", "0.0"),
        ]
        assert ask("/api/v1/liquidation-volume/NOSUCH/1h", **window).status_code == 404
        # What the table has is not asked for elsewhere.
        assert len(ask(f"{PATH}/1h", **window).json()["data"]) == 1


def test_a_database_that_cannot_be_used_is_an_error_and_no_empty_list(
    ask: Ask, transactional_db: None, settings: Any
) -> None:
    settings.DB_LIQ_TABLENAME = "no_such_liqs"
    table_profile_reset()
    response = ask(f"{PATH}/1h", start_time=T0, end_time=T0 + HOUR)
    assert (response.status_code, response.json()) == (
        503,
        {"detail": "Database service unavailable", "status_code": 503},
    )
    assert response.headers["Content-Type"] == "application/json"


@pytest.fixture
def endless_table(write: Any, settings: Any) -> Iterator[None]:
    """A view is served whose rows take so long that a query over them would not end within the test."""
    write([order(T0 + at) for at in range(100)])
    columns = ", ".join(f"liqs.{name}" for name in COLUMNS)
    slow = "SLEEP(0.2 + 0 * original_quantity) = 0"
    if connection.vendor == "sqlite":
        slow = (
            "(WITH RECURSIVE counted(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM counted WHERE n < 1000000000) "
            "SELECT MAX(n) FROM counted WHERE n > liqs.original_quantity) > 0"
        )
    with connection.cursor() as cursor:
        cursor.execute("DROP VIEW IF EXISTS endless_volume")
        cursor.execute(
            f"CREATE VIEW endless_volume AS SELECT {columns} FROM {configured.DB_LIQ_TABLENAME} AS liqs WHERE {slow}"
        )
    own, settings.DB_LIQ_TABLENAME = settings.DB_LIQ_TABLENAME, "endless_volume"
    table_profile_reset()
    yield
    settings.DB_LIQ_TABLENAME = own
    table_profile_reset()
    with connection.cursor() as cursor:
        cursor.execute("DROP VIEW endless_volume")


def test_a_query_over_its_time_limit_is_answered_504(ask: Ask, endless_table: None, settings: Any) -> None:
    settings.QUERY_TIMEOUT_SECONDS = 1
    response = ask(f"{PATH}/1h", start_time=T0, end_time=T0 + HOUR)
    assert (response.status_code, response.json()) == (
        504,
        {"detail": "Query timeout after 1 seconds", "status_code": 504},
    )
