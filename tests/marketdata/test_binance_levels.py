"""The levels of books: taken as they are where they look as always, else checked, and never differently."""

import json
import re
from decimal import Decimal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from marketdata.venues.binance.levels import checked_levels, is_plain, levels

# What is right, in other words than the code's.
NUMBER = re.compile(r"[0-9]{1,25}(\.[0-9]{1,18})?")

honest = st.from_regex(r"\A[0-9]{1,7}(\.[0-9]{1,8})?\Z") | st.from_regex(r"\A[0-9]{1,25}(\.[0-9]{1,18})?\Z")
odd = st.text('0123456789.,"[]eE+-_ \u0661NaInf', max_size=48) | st.from_regex(r"\A[0-9.]{0,60}\Z")
texts = honest | odd


def is_right(pair: list[str]) -> bool:
    return all(NUMBER.fullmatch(text) for text in pair) and Decimal(pair[0]) > 0


@given(st.lists(st.lists(texts, min_size=2, max_size=2), max_size=5), st.sampled_from([None, 1]))
@example([["0.1", "0"]], None)
@example([["1." + "0" * 18, "1" * 25]], None)
@example([["000000000000000000000.1", "1"]], None)
def test_levels_are_what_was_written_or_an_error(pairs: list[list[str]], indent: int | None) -> None:
    for separators in ((",", ":"), (", ", ": ")):
        text = json.dumps(pairs, indent=indent, separators=separators, ensure_ascii=False).encode()
        if all(map(is_right, pairs)):
            found = levels(text)
            assert [[str(price), str(quantity)] for price, quantity in found] == [
                [str(Decimal(price)), str(Decimal(quantity))] for price, quantity in pairs
            ]
        else:
            with pytest.raises(ValueError, match=r"Expected|Invalid|JSON"):
                levels(text)


@given(st.text('0123456789.,"[]', max_size=30))
def test_any_text_of_the_same_characters_is_taken_as_the_check_takes_it(text: str) -> None:
    """Nothing that looks plain is taken differently than it would be after the whole check."""
    results = []
    for read in (levels, checked_levels):
        try:
            results.append(read(text.encode()))
        except ValueError:
            results.append(None)
    assert results[0] == results[1]


def test_what_venues_send_is_plain() -> None:
    assert is_plain(b'[["63943.90","46.371"],["1","0"]]')
    for text in (b'[["1e5","1"]]', b'[[".5","1"]]', b'[["1.","1"]]', b'[["1", "1"]]', b"null"):
        assert not is_plain(text)
