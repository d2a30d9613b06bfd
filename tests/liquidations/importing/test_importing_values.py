from decimal import Decimal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from liquidations.importing.outcomes import Rejected
from liquidations.importing.values import (
    MAX_EXPONENT,
    MAX_NUMBER_LENGTH,
    Spellings,
    decimal_or_none,
    is_coin_margined,
    restore_quote,
    side_of,
    stored_symbol,
    trade_time_ms,
    venue_symbol,
)

BASES = st.from_regex(r"[A-Z0-9币安人生]{1,12}", fullmatch=True)
DELIVERIES = st.sampled_from(["", "_251226", "_260327"])


@pytest.mark.parametrize(
    ("short", "full"),
    [
        ("BTC", "BTCUSDT"),
        ("BTCUSDT", "BTCUSDT"),
        ("BTCUSDC", "BTCUSDC"),
        ("BTC_251226", "BTCUSDT_251226"),
        ("BTCUSDT_251226", "BTCUSDT_251226"),
        ("1000PEPE", "1000PEPEUSDT"),
        ("币安人生", "币安人生USDT"),
        ("USDC", "USDCUSDT"),
        ("PUMPBTC", "PUMPBTCUSDT"),
        ("ETHBTC", "ETHBTC"),
        ("BTCUSD_PERP", "BTCUSD_PERP"),
        ("BTCUSD_251226", "BTCUSD_251226"),
    ],
)
def test_short_symbols_get_their_quote_back(short: str, full: str) -> None:
    assert restore_quote(short, "USDT") == full


def test_another_quote_can_be_named() -> None:
    assert restore_quote("BTC_251226", "FDUSD") == "BTCFDUSD_251226"
    assert restore_quote("BTCFDUSD", "FDUSD") == "BTCFDUSD"


@given(BASES, DELIVERIES, st.sampled_from(["USDT", "USDC", "FDUSD"]))
@example("USDC", "", "USDT")
def test_restoring_the_quote_twice_changes_nothing_more(base: str, delivery: str, quote: str) -> None:
    once = restore_quote(base + delivery, quote)
    assert restore_quote(once, quote) == once
    assert once.startswith(base)
    assert once.endswith(delivery)


@given(st.text())
def test_any_text_is_a_clean_symbol_or_rejected(text: str) -> None:
    try:
        symbol = venue_symbol(text)
    except Rejected:
        return
    assert symbol
    assert not any(character.isspace() for character in symbol)
    assert venue_symbol(symbol) == symbol


def test_the_known_junk_prefix_is_stripped_and_other_junk_rejected() -> None:
    assert venue_symbol("Hello Arbitrage Trading BotADA") == "ADA"
    for junk in ("Hello World ADA", "A DA", "ADA\x00", "<b>ADA", "", "  ", None, 5):
        with pytest.raises(Rejected, match="symbol"):
            venue_symbol(junk)


def test_symbols_are_stored_in_upper_case() -> None:
    assert venue_symbol(" btcusdt ") == stored_symbol(" btcusdt ") == "BTCUSDT"


def test_coin_margined_symbols_are_told_from_usdt_margined_deliveries() -> None:
    assert is_coin_margined("BTCUSD_PERP")
    assert is_coin_margined("ETHUSD_230630")
    assert not is_coin_margined("BTCUSDT_230630")
    assert not is_coin_margined("BTCUSDT")


@pytest.mark.parametrize("text", ["None", "", " ", "null", "NULL", "nan", "NaN", "\\N", None])
def test_every_way_to_write_unknown_is_null(text: str | None) -> None:
    assert decimal_or_none(text, "price") is None


@pytest.mark.parametrize(
    "text",
    ["-1", "Infinity", "1_000", "٣", "1e99", "1E+31", "0x10", "1.2.3", ".", "9" * (MAX_NUMBER_LENGTH + 1), "1,5"],
)
def test_numbers_that_no_venue_sends_are_rejected(text: str) -> None:
    with pytest.raises(Rejected, match="price"):
        decimal_or_none(text, "price")


def test_numbers_keep_every_digit() -> None:
    assert str(decimal_or_none("0.12345678901234567890", "price")) == "0.12345678901234567890"
    assert str(decimal_or_none(" 4421 ", "price")) == "4421"
    assert decimal_or_none("1.5e-07", "price") == Decimal("0.00000015")
    assert decimal_or_none("1E+3", "price") == 1000
    assert decimal_or_none(12, "price") == 12


@given(st.text(max_size=60) | st.from_regex(r"[-+]?[0-9.]{1,45}([eE][-+]?[0-9]{1,4})?", fullmatch=True))
def test_any_text_is_a_bounded_number_or_null_or_rejected(text: str) -> None:
    try:
        number = decimal_or_none(text, "price")
    except Rejected:
        return
    if number is not None:
        assert number.is_finite()
        assert number >= 0
        assert number < Decimal(10) ** (MAX_NUMBER_LENGTH + MAX_EXPONENT)


def test_trade_times_are_milliseconds_or_iso_with_an_offset() -> None:
    assert trade_time_ms("1733330785584") == trade_time_ms(1733330785584) == 1733330785584
    assert trade_time_ms("2024-12-04 22:16:25.584000+05:30") == 1733330785584
    assert trade_time_ms("2024-12-04T16:46:25.584Z") == 1733330785584


@pytest.mark.parametrize(
    "value",
    ["0", 0, -5, "-5", "253402300800000", 10**18, "2024-12-04 22:16:25", "yesterday", "None", None, "²", "1" * 5000],
)
def test_other_trade_times_are_rejected(value: str | int | None) -> None:
    with pytest.raises(Rejected, match="trade time"):
        trade_time_ms(value)


def test_sides_are_read_in_any_case() -> None:
    assert [side_of(text) for text in ("buy", "BUY", " Sell ", "sElL")] == ["BUY", "BUY", "SELL", "SELL"]
    for text in ("", "LONG", None, 1):
        with pytest.raises(Rejected, match="side"):
            side_of(text)


def test_spellings_are_worked_out_once_and_never_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("liquidations.importing.values.MAX_KNOWN_SPELLINGS", 2)
    asked: list[str] = []
    spellings = Spellings(lambda text: asked.append(text) or text.upper())
    assert [spellings[text] for text in "aabbcc"] == list("AABBCC")
    assert asked == ["a", "b", "c", "c"]
