"""Which orders a socket of all symbols wants. No Django."""

import sys
from collections.abc import Mapping
from typing import Any

import msgspec

from streams.types import LiveOrder

MAX_SYMBOLS = 1000
FIELDS = ("min_usd", "side", "symbols")


class BadFilter(ValueError):
    """A filter that cannot be meant; the text says which."""


class OrderFilter(msgspec.Struct, frozen=True):
    """None: any. ``min_usd`` is in quote asset, itself included."""

    min_usd: float | None = None
    side: str | None = None
    symbols: frozenset[str] | None = None

    def passes(self, order: LiveOrder) -> bool:
        return (
            (self.min_usd is None or order.notional >= self.min_usd)
            and (self.side is None or order.side == self.side)
            and (self.symbols is None or order.symbol in self.symbols)
        )

    def changed(self, wanted: Mapping[str, Any]) -> "OrderFilter":
        """With the fields that ``wanted`` names replaced; None lifts a restriction. Raises `BadFilter`."""
        checks = {"min_usd": checked_min_usd, "side": checked_side, "symbols": checked_symbols}
        changes = {
            name: None if wanted[name] is None else checks[name](wanted[name]) for name in FIELDS if name in wanted
        }
        return msgspec.structs.replace(self, **changes)


NO_FILTER = OrderFilter()


def filter_read(query: Mapping[str, str]) -> OrderFilter:
    """From the URL's parameters: min_usd=1000&side=sell&symbols=BTCUSDT,ETHUSDT. Raises `BadFilter`."""
    wanted: dict[str, Any] = {name: query[name] for name in FIELDS if query.get(name)}
    if "symbols" in wanted:
        wanted["symbols"] = [name for name in wanted["symbols"].split(",") if name.strip()]
    if "min_usd" in wanted:
        try:
            wanted["min_usd"] = float(wanted["min_usd"])
        except ValueError:
            raise BadFilter("min_usd must be a number from 0 on") from None
    return NO_FILTER.changed(wanted)


def checked_min_usd(value: Any) -> float:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    # An integer may have more digits than any float.
    if not is_number or not 0 <= value <= sys.float_info.max:
        raise BadFilter("min_usd must be a number from 0 on")
    return float(value)


def checked_side(value: Any) -> str:
    if not isinstance(value, str) or value.upper() not in ("BUY", "SELL"):
        raise BadFilter("side must be BUY or SELL")
    return value.upper()


def checked_symbols(value: Any) -> frozenset[str]:
    if not isinstance(value, list) or len(value) > MAX_SYMBOLS or not all(isinstance(each, str) for each in value):
        raise BadFilter(f"symbols must be a list of at most {MAX_SYMBOLS} symbols")
    return frozenset(each.strip().upper() for each in value)
