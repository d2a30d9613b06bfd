"""Large liquidations as marks on charts."""

from decimal import Decimal
from typing import Any

import pytest
from django.conf import settings as configured
from django.db import connection
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from liquidations.marks import liquidation_marks
from liquidations.services import orders_write
from marketdata.udf.marks import sources
from tests.factories import T0, order
from tests.marketdata.udf.test_symbols import instrument

BTC = instrument()


@pytest.fixture(autouse=True)
def from_100k(settings: Any) -> None:
    settings.UDF_MARKS_MIN_USD = 100_000


def test_they_are_registered() -> None:
    assert liquidation_marks in sources


def test_a_mark_says_who_was_liquidated_and_for_how_much(db: None) -> None:
    orders_write(
        [
            order(T0 + 1, quantity="2.5", average_price="50000.1"),
            order(T0 + 2, side="BUY", quantity="3", average_price="40000"),
            order(T0 + 3, quantity="2.4", average_price="41000"),  # less than 100 000
            order(T0 + 4, quantity="10", average_price=None),
        ]
    )
    long, short = liquidation_marks(BTC, T0, T0 + 10, 10)
    assert (long.time_ms, long.color, long.label, long.weight) == (T0 + 1, "red", "Long", Decimal("125000.25"))
    assert long.text == "Long liquidated: 125,000 USDT at 50000.1, 00:00:00 UTC"
    assert (short.time_ms, short.color, short.label, short.weight) == (T0 + 2, "green", "Short", 120_000)
    assert long.id != short.id
    assert [mark.id for mark in liquidation_marks(BTC, T0 + 1, T0 + 1, 10)] == [long.id]
    assert list(liquidation_marks(BTC, T0 + 3, T0 + 10, 10)) == []
    assert list(liquidation_marks(instrument("NOSUCHUSDT"), T0, T0 + 10, 10)) == []


amounts = st.lists(st.tuples(st.integers(0, 50), st.integers(1, 400)), max_size=40)


@hypothesis_settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=15)
@given(amounts, st.integers(0, 50), st.integers(0, 50), st.integers(1, 10))
def test_the_largest_of_the_range_are_taken(
    committed: None, amounts: list[tuple[int, int]], first: int, last: int, limit: int
) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"DELETE FROM {configured.DB_LIQ_TABLENAME}")
    orders_write([order(T0 + at, quantity=str(thousands), average_price="1000") for at, thousands in amounts])
    found = [int(mark.weight) // 1000 for mark in liquidation_marks(BTC, T0 + first, T0 + last, limit)]
    in_range = {(at, thousands) for at, thousands in amounts if first <= at <= last and thousands >= 100}
    assert found == sorted((thousands for _, thousands in in_range), reverse=True)[:limit]
