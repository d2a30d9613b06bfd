"""Texts as the terminal showed them; samples marked "seen" were taken from its own server."""

import re
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketdata.formatting import (
    amount_decimals,
    decimal_places,
    format_amount,
    format_clock,
    format_liquidation_quantity,
    format_notional,
    format_total,
)
from marketdata.types import Instrument

UNITS = {"K": 1000, "M": 1_000_000, "": 1}
numbers = st.decimals(min_value=0, max_value=10**24, allow_nan=False, allow_infinity=False, places=18)


def instrument(lot: str | None = None, tick: str | None = None) -> Instrument:
    return Instrument(
        venue="binance",
        symbol="BTCUSDT",
        base_asset="BTC",
        quote_asset="USDT",
        contract_type="PERPETUAL",
        status="TRADING",
        is_active=True,
        tick_size=Decimal(tick) if tick else None,
        lot_size=Decimal(lot) if lot else None,
    )


@pytest.mark.contract("D107")
@pytest.mark.parametrize(
    ("amount", "decimals", "text"),
    [
        ("1500", 3, "1.50K"),  # seen
        ("0.5", 3, "0.500"),  # seen
        ("0", 3, "0.00"),
        ("0.0000", 8, "0.00"),
        ("0.00001", 8, "0.00001000"),
        ("0.000009", 8, "9.00e-06"),
        ("0.000009", 2, "9.00e-06"),
        ("999.999", 2, "1000.00"),
        ("999.999", 3, "999.999"),
        ("1000", 3, "1.00K"),
        ("1015", 3, "1.01K"),
        ("999999", 3, "1000.00K"),
        ("1000000", 3, "1.00M"),
        ("12345678901", 3, "12345.68M"),
    ],
)
def test_amounts_have_units_from_a_thousand_on_and_the_decimals_of_the_instrument_below(
    amount: str, decimals: int, text: str
) -> None:
    assert format_amount(Decimal(amount), decimals) == text


@pytest.mark.parametrize(
    ("total", "text"),
    [
        ("2500000000", "2500.00M"),  # seen: there is no unit above M
        ("999999", "1000.00K"),  # seen
        ("0", "0.00"),
        ("0.000009", "9.00e-06"),
        ("0.00001", "0.0000"),
        ("0.0099", "0.0099"),
        ("0.01", "0.01"),
        ("12.345", "12.35"),
        ("999.99", "999.99"),
        ("1000", "1.00K"),
    ],
)
def test_totals_have_four_decimals_when_small_and_two_otherwise(total: str, text: str) -> None:
    assert format_total(Decimal(total)) == text


@pytest.mark.contract("D107")
@pytest.mark.parametrize(
    ("notional", "text"),
    [("0", "0"), ("0.5", "0"), ("1.5", "2"), ("2.5", "2"), ("999.5", "1,000"), ("1234567.89", "1,234,568")],
)
def test_notionals_are_whole_with_commas_and_halves_go_to_the_even_neighbour(notional: str, text: str) -> None:
    assert format_notional(Decimal(notional)) == text


@pytest.mark.parametrize(
    ("quantity", "text"), [("1", "1.000"), ("0.5", "0.500000"), ("1500", "1500.000"), ("0", "0.000000")]
)
def test_without_an_instrument_quantities_have_three_decimals_from_one_on_and_six_below(
    quantity: str, text: str
) -> None:
    assert format_liquidation_quantity(Decimal(quantity), None) == text


def test_with_an_instrument_quantities_have_its_decimals() -> None:
    assert format_liquidation_quantity(Decimal("0.5"), instrument(lot="0.001")) == "0.500"
    assert format_liquidation_quantity(Decimal("3661"), instrument(lot="1")) == "3.66K"
    assert format_liquidation_quantity(Decimal("70.5"), instrument(lot="1")) == "70.50"


@pytest.mark.parametrize(
    ("step", "places"), [("0.001", 3), ("0.010", 2), ("0.25", 2), ("1", 0), ("10", 0), ("1E+1", 0), ("1E-7", 7)]
)
def test_a_step_has_as_many_decimals_as_it_needs(step: str, places: int) -> None:
    assert decimal_places(Decimal(step)) == places


@pytest.mark.parametrize(
    ("lot", "tick", "decimals"),
    [("0.001", "0.1", 3), ("1", "0.00001", 2), ("1E-9", None, 8), (None, "1E-9", 6), (None, "0.1", 2), (None, None, 2)],
)
def test_the_quantity_step_decides_else_the_price_step_else_two(
    lot: str | None, tick: str | None, decimals: int
) -> None:
    assert amount_decimals(instrument(lot, tick)) == decimals


@pytest.mark.contract("D107")
def test_clocks_are_in_utc_whatever_the_zone_of_the_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Asia/Kolkata")
    assert format_clock(1_695_714_031_881) == "07:40:31"
    assert format_clock(0) == "00:00:00"


@given(st.integers(0, 253_402_300_799_999))
def test_clocks_never_round_up(timestamp_ms: int) -> None:
    moment = datetime.fromtimestamp(timestamp_ms // 1000, UTC)
    assert format_clock(timestamp_ms) == moment.time().isoformat("seconds")


@given(numbers, st.integers(2, 8))
def test_amounts_read_back_within_their_rounding(amount: Decimal, decimals: int) -> None:
    assert_reads_back(format_amount(amount, decimals), amount)


@given(numbers)
def test_totals_read_back_within_their_rounding(total: Decimal) -> None:
    assert_reads_back(format_total(total), total)


@given(numbers)
def test_liquidation_quantities_read_back_within_their_rounding(quantity: Decimal) -> None:
    assert_reads_back(format_liquidation_quantity(quantity, None), quantity)


@given(numbers)
def test_notionals_read_back_to_half_a_unit(notional: Decimal) -> None:
    text = format_notional(notional)
    assert re.fullmatch(r"\d{1,3}(,\d{3})*", text)
    assert abs(int(text.replace(",", "")) - notional) <= Decimal("0.5")


def assert_reads_back(text: str, value: Decimal) -> None:
    """``text`` is a number with an optional unit, and no further from ``value`` than half of its last digit."""
    match = re.fullmatch(r"(\d+\.(\d+))(e-\d\d)?([KM]?)", text)
    assert match, text
    number = Decimal(match[1] + (match[3] or "")) * UNITS[match[4]]
    last_digit = Decimal(f"1e-{len(match[2])}") * Decimal(f"1{match[3] or ''}") * UNITS[match[4]]
    # A float has 15 digits for sure: beyond, its own rounding is the larger one.
    assert abs(number - value) <= last_digit * Decimal("0.5000001") + value * Decimal("1e-15")
