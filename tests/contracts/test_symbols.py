"""GET /api/symbols: the contract's rows D020 to D022."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings

from liqui.settings.environment import environment_read
from tests.contracts.conftest import InsertRows
from tests.factories import T0, order

Ask = Callable[..., Any]
Write = Callable[..., Any]


@pytest.mark.contract("D020")
def test_symbols_are_sorted_distinct_and_without_those_that_end_in_a_digit(write: Write, ask: Ask) -> None:
    names = ["ETHUSDT", "BTCUSDT", "BTCUSDT123", "BTCUSDT_240927", "1000PEPEUSDT", "币安人生USDT", "A1B", "X9"]
    write([order(T0 + at, symbol=name) for name in names for at in range(3)])
    response = ask("/api/symbols")
    assert response.status_code == 200
    assert response.headers["Content-Type"] == "application/json"
    assert response.content == '["1000PEPEUSDT","A1B","BTCUSDT","ETHUSDT","币安人生USDT"]'.encode()


@pytest.mark.contract("D020")
def test_a_symbol_stored_in_several_spellings_is_listed_once(insert_outside: InsertRows, ask: Ask) -> None:
    insert_outside([(name, "buy", None, None, 1, 1, 1, None, 1, 1, T0) for name in ("btcusdt", "BTCUSDT", None, "")])
    assert [name.upper() for name in ask("/api/symbols").json()] == ["BTCUSDT"]


@pytest.mark.contract("D021")
def test_an_empty_table_has_an_empty_list_of_symbols(db: None, ask: Ask) -> None:
    response = ask("/api/symbols")
    assert (response.status_code, response.content) == (200, b"[]")


@pytest.mark.contract("D022")
def test_symbols_work_with_the_table_name_unset(write: Write, ask: Ask, tmp_path: Path) -> None:
    assert environment_read({"LIQUI_HOME": str(tmp_path)}, tmp_path).liq_tablename == "binance_liqs"
    assert environment_read({"LIQUI_HOME": str(tmp_path), "DB_LIQ_TABLENAME": ""}, tmp_path).liq_tablename == (
        "binance_liqs"
    )
    if "DB_LIQ_TABLENAME" not in os.environ:
        assert settings.DB_LIQ_TABLENAME == "binance_liqs"
    write([order()])
    assert ask("/api/symbols").json() == ["BTCUSDT"]
