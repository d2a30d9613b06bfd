"""What is suggested for a symbol that is not listed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketdata.suggestions import not_found_text, suggest

MARKET = ["BTCUSDT", "ETHUSDT", "BCHUSDT", "XRPUSDT", "ETHBTC", "1000PEPEUSDT", "BTCUSDC", "ETHFIUSDT", "币安人生USDT"]
pytestmark = pytest.mark.contract("D126")


@pytest.mark.parametrize(
    ("text", "suggestions"),
    [
        ("btcusdt", ["BTCUSDT", "BTCUSDC", "ETHUSDT"]),  # the same name, then a common beginning, then the same quote
        ("PEPEUSDT", ["1000PEPEUSDT", "BTCUSDT", "ETHUSDT"]),  # contained
        ("BTCUSD", ["BTCUSDT", "BTCUSDC"]),
        ("eth", ["ETHUSDT", "ETHBTC", "ETHFIUSDT"]),  # equally likely: the order of the market
        ("ETHFI", ["ETHFIUSDT", "ETHUSDT", "ETHBTC"]),
        ("DOGEUSDT", ["BTCUSDT", "ETHUSDT", "BCHUSDT"]),  # the quote asset alone
        ("DOGEBTC", ["ETHBTC"]),
        ("人生", ["币安人生USDT"]),
        ("NOPE", []),
        ("", []),
    ],
)
def test_the_likeliest_symbols_come_first(text: str, suggestions: list[str]) -> None:
    assert suggest(text, MARKET) == suggestions


def test_the_text_names_the_symbol_as_it_was_asked_for_and_up_to_three_others() -> None:
    assert not_found_text("xyz", []) == "Symbol xyz not found"
    assert not_found_text("xyz", ["A"]) == "Symbol xyz not found. Did you mean: A?"
    assert not_found_text("xyz", ["A", "B", "C"]) == "Symbol xyz not found. Did you mean: A, B, C?"


@given(st.text(max_size=12), st.lists(st.text(min_size=1, max_size=8), unique=True, max_size=20))
def test_suggestions_are_at_most_three_different_symbols_of_the_market(text: str, symbols: list[str]) -> None:
    suggestions = suggest(text, symbols)
    assert len(suggestions) == len(set(suggestions)) <= 3
    assert set(suggestions) <= set(symbols)
