"""The levels of an order book as Binance writes them: [["63943.90","46.371"],…]."""

from decimal import Decimal
from typing import Annotated

import msgspec
from msgspec import Meta, Raw

from marketdata.types import Level
from marketdata.venues.binance.texts import AboveZero, Number

PLAIN = b'0123456789.,"[]'
# Digits with a point between them: no longer than this, they keep the bounds of `Number` whatever they are.
Short = Annotated[str, Meta(min_length=1, max_length=20)]

decode_short = msgspec.json.Decoder(list[tuple[Short, Short]]).decode
decode_levels = msgspec.json.Decoder(list[tuple[AboveZero, Number]]).decode


def levels(raw: Raw | bytes) -> list[Level]:
    """Price and quantity of each, in the order given. Raises ValueError for what is not plain and within bounds.

    A depth stream is all numbers, and checking each by its pattern takes twice the time of all the rest: levels that
    look like they always do are taken as they are, any others are checked.
    """
    text = bytes(raw)
    try:
        found = short_levels(text) if is_plain(text) else None
    except (ValueError, ArithmeticError):
        found = None
    return checked_levels(text) if found is None else found


def is_plain(text: bytes) -> bool:
    """Nothing but digits, points between digits or such, and the marks of a list."""
    return not text.translate(None, PLAIN) and b'".' not in text and b'."' not in text


def short_levels(text: bytes) -> list[Level] | None:
    """None when a price is 0. Raises ValueError or ArithmeticError for what may still be right."""
    found = [(Decimal(price), Decimal(quantity)) for price, quantity in decode_short(text)]
    return found if all(price for price, _ in found) else None


def checked_levels(text: bytes) -> list[Level]:
    return [(Decimal(price), Decimal(quantity)) for price, quantity in decode_levels(text)]
