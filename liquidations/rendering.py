"""Rows as JSON text in the contract's key order, numbers straight from the database's decimals. No Django."""

import json
from collections.abc import Iterable, Sequence
from decimal import Decimal
from functools import lru_cache
from typing import Any

import msgspec

from liquidations.domain import format_iso
from liquidations.schema import COLUMNS
from liquidations.types import Bucket

# The stream's separators are those of Python's json.dumps; everything else is compact.
LINE = "{" + ", ".join(f'"{name}": %s' for name in COLUMNS) + "}\n"
COMPACT = "{" + ",".join(f'"{name}":%s' for name in COLUMNS) + "}"

Number = Decimal | float | int | str  # str: a decimal as the server prints it


def decimal_text(value: Number) -> str:
    """The exact number in plain digits, without an exponent and without trailing zeros: "0.013", "4421"."""
    if isinstance(value, str):
        return value.rstrip("0").rstrip(".") if "." in value else value
    return decimal_text(format(value if isinstance(value, Decimal) else Decimal(repr(value)), "f"))


def csv_cell(text: str) -> str:
    """The text as spreadsheets take it for one: what begins like a formula gets an apostrophe before it."""
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text


def json_number(value: Number | None) -> str:
    """As a JSON number that looks like a float, as clients know it: "0.013", "4421.0"; "null" for None."""
    if value is None:
        return "null"
    if not isinstance(value, str):
        value = decimal_text(value)
    if "." not in value:
        return f"{value}.0"
    text = value.rstrip("0")
    return text if text[-1] != "." else f"{text}0"


# Quantities recur, prices hardly do: caching those would cost more than it saves.
json_quantity = lru_cache(maxsize=65_536)(json_number)


def json_string_number(value: Number | None) -> str:
    """As a JSON string of the exact decimal; "null" for None."""
    return "null" if value is None else f'"{decimal_text(value)}"'


@lru_cache(maxsize=4096)
def json_string(value: str | None) -> str:
    """As a JSON string. Few values recur in millions of rows, hence the cache."""
    return json.dumps(value, ensure_ascii=False)


@lru_cache(maxsize=64)
def json_side(value: str | None) -> str:
    """As a JSON string in lower case, as clients know it, however the table spells it."""
    return json_string(value.lower() if value is not None else None)


def order_texts(rows: Iterable[Sequence[Any]], template: str, *, as_strings: bool = False) -> list[str]:
    """Each row (values in the order of `COLUMNS`) in ``template``, which is `LINE` or `COMPACT`."""
    number = json_string_number if as_strings else json_number
    quantity = json_string_number if as_strings else json_quantity
    string = json_string
    return [
        template
        % (
            string(symbol),
            json_side(side),
            string(order_type),
            string(time_in_force),
            quantity(original),
            number(price),
            number(average_price),
            string(status),
            quantity(last_filled),
            quantity(filled),
            trade_time,
        )
        for (
            symbol,
            side,
            order_type,
            time_in_force,
            original,
            price,
            average_price,
            status,
            last_filled,
            filled,
            trade_time,
        ) in rows
    ]


def orders_json(rows: Iterable[Sequence[Any]], *, as_strings: bool = False) -> bytes:
    """A JSON array of orders."""
    return f"[{','.join(order_texts(rows, COMPACT, as_strings=as_strings))}]".encode()


class BucketItem(msgspec.Struct, gc=False):
    """One bucket on the wire, keys in the contract's order."""

    timestamp: int
    timestamp_iso: str
    side: str
    cumulated_usd_size: float | str


def buckets_json(buckets: Iterable[Bucket], *, as_strings: bool = False) -> bytes:
    """A JSON array of buckets; sums as the nearest floats, or as exact decimals in strings."""
    number = decimal_text if as_strings else float
    return msgspec.json.encode(
        [BucketItem(start_ms, format_iso(start_ms), side, number(notional)) for start_ms, side, notional in buckets]
    )
