"""Rows become JSON text: exact numbers, the contract's key order, any text."""

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from liquidations.rendering import LINE, buckets_json, decimal_text, json_number, order_texts, orders_json
from liquidations.schema import COLUMNS, TYPES

texts = st.none() | st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
decimals = st.none() | st.decimals(
    allow_nan=False, allow_infinity=False, min_value=-(10**20), max_value=10**20, places=10
)
rows = st.tuples(*(decimals if name not in TYPES else texts for name in COLUMNS[:-1]), st.integers(0, 2**63 - 1))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (Decimal("0.0130000000"), "0.013"),
        (Decimal("4421"), "4421.0"),
        (Decimal("4421.0000000000"), "4421.0"),
        (Decimal("100"), "100.0"),
        (Decimal("0E-10"), "0.0"),
        (Decimal("1E+3"), "1000.0"),
        (Decimal("1E-10"), "0.0000000001"),
        (Decimal("-0.50"), "-0.5"),
        (Decimal("12345678901234567890.1234567891"), "12345678901234567890.1234567891"),
        ("0.0130000000", "0.013"),
        ("100", "100.0"),
        ("100.0000000000", "100.0"),
        (0.013, "0.013"),
        (1e-08, "0.00000001"),
        (1e22, "10000000000000000000000.0"),
        (42000, "42000.0"),
        (0, "0.0"),
        (None, "null"),
    ],
)
def test_a_number_is_written_in_plain_digits_with_a_point(value: Any, expected: str) -> None:
    assert json_number(value) == expected


@given(st.decimals(allow_nan=False, allow_infinity=False, places=10, min_value=-(10**20), max_value=10**20))
def test_no_digit_of_a_decimal_is_lost(value: Decimal) -> None:
    assert Decimal(decimal_text(value)) == value
    assert decimal_text(format(value, "f")) == decimal_text(value)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_float_is_read_back_as_the_same_float(value: float) -> None:
    assert float(json_number(value)) == value


@given(st.lists(rows, max_size=5))
def test_orders_are_json_with_every_value_as_it_was(many: list[tuple[Any, ...]]) -> None:
    for row, read in zip(many, json.loads(orders_json(many), parse_float=Decimal), strict=True):
        assert list(read) == list(COLUMNS)
        side = row[1].lower() if row[1] is not None else None
        assert list(read.values()) == [row[0], side, *row[2:]]


@given(st.lists(rows, min_size=1, max_size=5))
def test_a_line_of_the_stream_has_the_separators_of_json_dumps(many: list[tuple[Any, ...]]) -> None:
    for line in order_texts(many, LINE, as_strings=True):
        assert line == json.dumps(json.loads(line), ensure_ascii=False) + "\n"


@given(st.lists(rows, max_size=5))
def test_numbers_as_strings_change_the_numbers_alone(many: list[tuple[Any, ...]]) -> None:
    for row, read in zip(many, json.loads(orders_json(many, as_strings=True)), strict=True):
        for name, value in zip(COLUMNS, row, strict=True):
            if name not in TYPES and value is not None:
                assert isinstance(read[name], str)
                assert Decimal(read[name]) == value
        assert read["order_trade_time"] == row[-1]


def test_no_rows_are_an_empty_array() -> None:
    assert orders_json([]) == buckets_json([]) == b"[]"


def test_a_bucket_is_compact_and_its_sum_the_nearest_float() -> None:
    exact = Decimal("0.1") + Decimal("0.00000000000000000001")
    assert buckets_json([(1704067200123, "buy", exact)]) == (
        b'[{"timestamp":1704067200123,"timestamp_iso":"2024-01-01T00:00:00.123000+00:00",'
        b'"side":"buy","cumulated_usd_size":0.1}]'
    )
    assert b'"0.10000000000000000001"' in buckets_json([(0, "buy", exact)], as_strings=True)
