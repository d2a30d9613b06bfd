"""What clients may ask of an order book, and what they get."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketdata.books.parameters import AskedParameters, BadBookParameters, BookParameters
from tests.marketdata.books import instrument

BTC = instrument("0.1")
CHEAP = instrument("0.0000001", "1")


def asked(**query: str) -> AskedParameters:
    return AskedParameters.from_query(query)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({}, (20, "0.1")),
        ({"limit": "5", "rounding": "1"}, (5, "1")),
        ({"limit": "1000", "rounding": "0.5"}, (1000, "0.5")),
        ({"limit": "5000", "rounding": "1e1"}, (1000, "10")),
        ({"rounding": ".25", "symbol": "BTCUSDT"}, (20, "0.25")),
        ({"rounding": "0.01"}, (20, "0.1")),
        ({"rounding": "1e-99"}, (20, "0.1")),
    ],
)
def test_the_url_is_cut_to_what_is_given(query: dict[str, str], expected: tuple[int, str]) -> None:
    assert asked(**query).within(BTC, 5000) == BookParameters(expected[0], Decimal(expected[1]))


@pytest.mark.parametrize("limit", ["", "4", "5001", "-5", "20.5", "x", "1e2", "٢٠", "9" * 5000, "0x10", "20 "])
def test_a_url_with_a_bad_limit_is_refused(limit: str) -> None:
    with pytest.raises(BadBookParameters, match=r"^limit must be a whole number from 5 to 5000, and not "):
        asked(limit=limit)


@pytest.mark.parametrize("rounding", ["", "0", "0.0", "-1", "nan", "inf", "Infinity", "x", "1e13", "1_0", "1e999", "٢"])
def test_a_url_with_a_bad_rounding_is_refused(rounding: str) -> None:
    with pytest.raises(BadBookParameters, match=r"^rounding must be a number above 0"):
        asked(rounding=rounding)


def test_the_operators_limit_counts_too_and_levels_are_never_fewer_than_five() -> None:
    assert asked(limit="100").within(BTC, 50).limit == 50
    assert asked(limit="6").within(BTC, 1).limit == 5


def test_who_names_no_rounding_gets_one_that_suits_the_price() -> None:
    assert asked().within(CHEAP, 5000).rounding == Decimal("0.00001")
    assert asked(rounding="0.00001").within(CHEAP, 5000).rounding == Decimal("0.00001")
    assert asked().within(instrument(None, None), 5000).rounding == Decimal("0.01")
    assert asked(rounding="1e-50").within(instrument(None, None), 5000).rounding == Decimal("1e-18")


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ({}, (50, "2")),
        ({"limit": None, "rounding": None}, (50, "2")),
        ({"limit": 10}, (10, "2")),
        ({"rounding": 0.1}, (50, "0.1")),
        ({"limit": 5000, "rounding": 100}, (5000, "100")),
    ],
)
def test_a_message_changes_what_it_names(message: dict[str, Any], expected: tuple[int, str]) -> None:
    before = asked(limit="50", rounding="2")
    assert before.updated(message) == AskedParameters(expected[0], Decimal(expected[1]))


BAD = [True, False, "10", [], {}, -1, 0, float("nan"), float("inf"), -0.5, 10**400, -(10**400), 1e300]


@pytest.mark.parametrize("value", BAD)
def test_a_message_with_a_bad_value_is_refused_and_the_text_says_which(value: Any) -> None:
    before = asked(limit="50", rounding="2")
    for name in ("limit", "rounding"):
        with pytest.raises(ValueError, match=f"^{name} must be ") as refused:
            before.updated({name: value})
        assert len(str(refused.value)) < 150
    assert before == AskedParameters(50, Decimal(2))


@given(st.recursive(st.none() | st.booleans() | st.floats() | st.integers() | st.text(), st.lists), st.booleans())
def test_any_value_is_taken_or_refused(value: Any, is_limit: bool) -> None:
    try:
        parameters = asked().updated({"limit" if is_limit else "rounding": value}).within(BTC, 5000)
    except BadBookParameters:
        return
    assert 5 <= parameters.limit <= 1000
    assert Decimal("0.1") <= parameters.rounding <= 10**12
    assert hash(parameters) == hash(BookParameters(parameters.limit, parameters.rounding))
