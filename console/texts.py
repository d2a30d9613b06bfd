"""Values of the field as people read them."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

from liquidations.domain import EPOCH
from liquidations.rendering import decimal_text

UNKNOWN = "–"
SIDES = {"SELL": "Long closed", "BUY": "Short closed"}
SPANS = (("d", 86_400, "h", 3600), ("h", 3600, "min", 60), ("min", 60, "s", 1))
SIZES = (("GB", 1 << 30), ("MB", 1 << 20), ("kB", 1 << 10))


def utc_time(at_ms: int | None) -> str:
    """2026-11-21 14:00:00.123; all times of the console are UTC."""
    if at_ms is None:
        return UNKNOWN
    return (EPOCH + timedelta(milliseconds=at_ms)).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]


def number(value: Any) -> str:
    """All of its digits, thousands apart. What is no number, which SQLite would hold too, is shown as it is."""
    if value is None:
        return UNKNOWN
    text = decimal_text(value)
    whole, point, rest = text.partition(".")
    return f"{int(whole):,}{point}{rest}" if whole.isdecimal() else text


def notional(average_price: Any, quantity: Any) -> str:
    """Average price × filled quantity in quote asset, as bars count it."""
    if average_price is None or quantity is None:
        return UNKNOWN
    try:
        return f"{Decimal(str(average_price)) * Decimal(str(quantity)):,.2f}"
    except ArithmeticError:
        return UNKNOWN


def counted(number: int, one: str, many: str) -> str:
    """1 line was, 2 lines were."""
    return f"{number:,} {one if number == 1 else many}"


def span(seconds: float | None) -> str:
    """3 d 4 h, 2 h 5 min, 3 min, 12 s: the two largest units."""
    if seconds is None:
        return UNKNOWN
    left = int(seconds)
    for unit, of_it, next_unit, of_next in SPANS:
        if left >= of_it:
            rest = left % of_it // of_next
            return f"{left // of_it:,} {unit}" + (f" {rest} {next_unit}" if rest else "")
    return f"{left} s"


def byte_size(size: int | None) -> str:
    """812 B, 25.3 kB, 1.2 MB; in powers of 1024."""
    if size is None:
        return UNKNOWN
    if size < 1 << 10:
        return f"{size} B"
    return next(f"{size / unit:,.1f} {name}" for name, unit in SIZES if size >= unit)
