"""Texts as the terminal showed them; samples marked "seen" were taken from its own server."""

import re
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketdata.formatting import (
    PriceFormat,
    amount_decimals,
    amount_formatter,
    decimal_places,
    default_rounding,
    format_amount,
    format_clock,
    format_liquidation_quantity,
    format_notional,
    format_price,
    format_total,
    format_volume24h,
    price_decimals,
    price_format,
    price_formatter,
    rounding_options,
)
from marketdata.types import Instrument

UNITS = {"K": 1000, "M": 1_000_000, "": 1}
numbers = st.decimals(min_value=0, max_value=10**24, allow_nan=False, allow_infinity=False, places=18)


def instrument(lot: str | None = None, tick: str | None = None, precision: int | None = None) -> Instrument:
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
        price_precision=precision,
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


@pytest.mark.parametrize(
    ("price", "rounding", "text"),
    [
        ("50000.1", None, "50000.1"),  # seen
        ("0", None, "0.00"),
        ("0", "0.1", "0.00"),
        ("50000", None, "50000.0"),
        ("0.000009", None, "9.00e-06"),
        ("0.00001", None, "0.0"),
        ("1234567.89", None, "1234567.9"),  # no separators
        ("50000", "1", "50000"),
        ("50000.5", "1", "50000.5"),
        ("50000", "10", "50000"),
        ("50000.5", "10", "50000"),
        ("50001.5", "10", "50002"),
        ("123456789", "1000", "123456789"),
        ("50000.14", "0.1", "50000.1"),
        ("50000.14", "0.5", "50000.1"),
        ("50000.14", "0.01", "50000.14"),
        ("50000.144", "0.05", "50000.14"),
        ("50000.1444", "0.001", "50000.144"),
        ("0.12345", "0.0001", "0.1235"),
        ("0.1234567", "0.0000001", "0.1234567"),
        ("0.0000123", "0.0000001", "0.0000123"),
        ("0.000009", "0.0001", "9.00e-06"),
        ("0.000009", "0.0000001", "0.0000090"),
        ("0.000009", "0.00002", "9.00e-06"),
        ("0.00000004", "0.0000001", "4.00e-08"),
        ("0.000009", "1", "9.00e-06"),
        ("-0.000009", "0.001", "-9.00e-06"),
        ("-12.5", "0.1", "-12.5"),
        ("nan", None, "0.00"),
        ("nan", "1", "0.00"),
        ("inf", "0.1", "0.00"),
        ("-inf", "10", "0.00"),
    ],
)
def test_prices_have_the_decimals_of_the_rounding_else_those_of_the_instrument(
    price: str, rounding: str | None, text: str
) -> None:
    bitcoin = instrument(tick="0.1")
    step = Decimal(rounding) if rounding else None
    assert format_price(Decimal(price), bitcoin, step) == text
    assert price_formatter(bitcoin, None if step is None else float(step))(float(price)) == text


def test_no_price_is_zero_and_an_unknown_instrument_has_two_decimals() -> None:
    assert format_price(None) == format_price(None, instrument(tick="0.1"), Decimal(1)) == "0.00"
    assert format_price(Decimal("1.005")) == format_price(1.005, instrument()) == f"{1.005:.2f}"
    assert format_price(1.2345, rounding=0) == "1.23"


@pytest.mark.parametrize("power", range(-15, 5))
def test_a_rounding_of_any_power_of_ten_shows_its_multiples_exactly(power: int) -> None:
    rounding = Decimal(1).scaleb(power)
    shown = price_formatter(None, rounding)
    for count in (1, 3, 7, 123, 98_765):
        price = count * rounding
        if price >= Decimal("0.00001") or rounding < Decimal("0.0001"):
            assert Decimal(shown(float(price))) == price


@pytest.mark.contract("D072")
@pytest.mark.parametrize(
    ("volume", "text"),
    [
        ("12590000000", "12.59B"),
        ("456780000", "456.78M"),
        ("1230", "1.23K"),
        ("999", "999.00"),
        (None, ""),
        ("0", ""),
        ("0.004", "0.00"),
        ("999999999", "1000.00M"),
        ("1000000000", "1.00B"),
        ("1234567000000", "1234.57B"),
    ],
)
def test_volumes_have_a_unit_above_m(volume: str | None, text: str) -> None:
    assert format_volume24h(None if volume is None else Decimal(volume)) == text


@pytest.mark.contract("D073")
@pytest.mark.parametrize(
    ("tick", "precision", "expected"),
    [
        ("0.1", None, PriceFormat("price", 1, 0.1)),
        ("0.00001", None, PriceFormat("price", 5, 1e-5)),
        ("0.05", None, PriceFormat("price", 2, 0.01)),
        ("0.25", None, PriceFormat("price", 2, 0.01)),
        ("1", None, PriceFormat("price", 0, 1.0)),
        ("10", None, PriceFormat("price", 0, 1.0)),
        ("1E-7", None, PriceFormat("price", 7, 1e-7)),
        ("1E-12", None, PriceFormat("price", 8, 1e-8)),
        (None, None, PriceFormat("price", 2, 0.01)),
        (None, 3, PriceFormat("price", 3, 0.001)),
        ("0.1", 3, PriceFormat("price", 3, 0.001)),
        (None, -2, PriceFormat("price", 0, 1.0)),
    ],
)
def test_charts_are_told_of_up_to_eight_decimals(
    tick: str | None, precision: int | None, expected: PriceFormat
) -> None:
    assert price_format(instrument(tick=tick, precision=precision)) == expected


@pytest.mark.contract("D075")
def test_decimals_come_from_the_price_step_itself() -> None:
    ticks = {"0.25": 2, "1": 0, "0.10": 1, "0.0000001": 7}
    assert {tick: price_decimals(instrument(tick=tick)) for tick in ticks} == ticks
    assert price_decimals(None) is price_decimals(instrument()) is None


@pytest.mark.contract("D074")
@pytest.mark.parametrize(
    ("decimals", "price", "options", "default"),
    [
        (1, "63943.9", ["0.1", "1", "10", "100", "1000"], "10"),  # the contract's own sample
        (1, None, ["0.1", "1", "10", "100", "1000"], "10"),
        (2, "3000", ["0.01", "0.1", "1", "10", "100"], "1"),
        (7, "0.0000123", ["1E-7", "1E-6"], "1E-6"),
        (7, "0.123", ["1E-7", "1E-6", "1E-5", "1E-4", "0.001", "0.01"], "1E-5"),
        (5, "90000", ["1E-5", "1E-4", "0.001", "0.01", "0.1", "1", "10"], "0.001"),
        (0, "100", ["1", "10"], "10"),
        (0, "12", ["1"], "1"),
        (4, "0.0005", [], "0.01"),
        (4, "0", ["1E-4", "0.001", "0.01", "0.1", "1", "10", "100"], "0.01"),
        (None, "5", [], "0.01"),
    ],
)
def test_roundings_are_powers_of_ten_from_the_price_step_to_a_tenth_of_the_price(
    decimals: int | None, price: str | None, options: list[str], default: str
) -> None:
    found = rounding_options(decimals, None if price is None else Decimal(price))
    assert found == [Decimal(option) for option in options]
    assert default_rounding(found) == Decimal(default)


@given(st.integers(0, 12), st.decimals("1e-12", "1e9", places=12))
def test_roundings_are_at_most_seven_and_none_is_above_a_tenth_of_the_price(decimals: int, price: Decimal) -> None:
    options = rounding_options(decimals, price)
    assert len(options) <= 7
    assert all(10 * option <= price for option in options)
    assert options == [Decimal(10) ** (power - decimals) for power in range(len(options))]
    # It ends because there are seven, or because the next is too large.
    assert len(options) == 7 or Decimal(10) ** (len(options) - decimals) * 10 > price
    assert default_rounding(options) in options or not options


prices = st.floats(min_value=0, max_value=1e18, allow_nan=False) | st.floats(1e-9, 1e6)
roundings = st.none() | st.builds(lambda power: 10.0**power, st.integers(-9, 4)) | st.floats(1e-8, 1e4)


@given(prices, roundings, st.sampled_from(["0.1", "0.25", "1", "1E-7", None]))
def test_prices_read_back_within_half_of_the_rounding_or_of_their_last_digit(
    price: float, rounding: float | None, tick: str | None
) -> None:
    shown = price_formatter(instrument(tick=tick), rounding)(price)
    assert re.fullmatch(r"\d+(\.\d+)?(e-\d+)?", shown), shown
    _, _, fraction = shown.partition("e")[0].partition(".")
    last_digit = 10.0 ** -len(fraction) * (10.0 ** int(shown.partition("e")[2]) if "e" in shown else 1)
    allowed = max(last_digit, rounding or 0) * 0.5000001
    assert abs(float(shown) - price) <= allowed + price * 1e-15


@given(st.floats(), roundings, st.sampled_from([0.1, None]))
def test_nothing_is_shown_as_no_number(value: float, rounding: float | None, tick: float | None) -> None:
    texts = [
        price_formatter(instrument(tick=str(tick) if tick else None), rounding)(value),
        amount_formatter(instrument())(value),
        format_total(value),
        format_volume24h(value),
    ]
    for text in texts:
        assert re.fullmatch(r"-?\d+(\.\d+)?(e[+-]\d+)?[KMB]?|", text), text


@given(numbers, st.sampled_from([None, "0.001", "1", "1E-8"]))
def test_the_formatter_of_an_instrument_writes_amounts_as_they_are_written_one_by_one(
    amount: Decimal, lot: str | None
) -> None:
    known = instrument(lot=lot)
    assert amount_formatter(known)(float(amount)) == format_amount(amount, amount_decimals(known))


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
