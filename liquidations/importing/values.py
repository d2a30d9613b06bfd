"""Fields of a row as checked values: numbers, times, sides, symbols.

Every source hands its fields over as text (or an int, or None); nothing passes through a float. These functions run
for every field of every row: the common case of each comes first and is short.
"""

import re
from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from liquidations.domain import EPOCH, MAX_TIMESTAMP_MS, canonical_symbol
from liquidations.importing.outcomes import Rejected

MILLISECOND = timedelta(milliseconds=1)
MILLISECONDS = re.compile(r"[ \t]*[0-9]{1,15}[ \t]*").fullmatch
MAX_NUMBER_LENGTH = 40  # characters; the widest column of the contract has 30 digits
PLAIN_NUMBER = re.compile(r"[0-9]+(?:\.[0-9]*)?|\.[0-9]+").fullmatch
# Our own exports hold JSON numbers, which Python writes as 1e-05 when they are small.
SCIENTIFIC_NUMBER = re.compile(r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)[eE]([+-]?[0-9]{1,2})").fullmatch
MAX_EXPONENT = 30
NULL_WORDS = frozenset({"", "none", "null", "nan", "\\n"})

SIDES = {"BUY": "BUY", "SELL": "SELL", "buy": "BUY", "sell": "SELL"}
MAX_CODE_LENGTH = 40  # characters of an order type and the like

MAX_KNOWN_SPELLINGS = 100_000  # what a table of spellings remembers: garbage must not fill the memory
JUNK_PREFIX = "Hello Arbitrage Trading Bot"  # glued to the first symbol by a known recorder
VENUE_SYMBOL = re.compile(r"\w+").fullmatch  # letters and digits of any script: 币安人生USDT exists
DELIVERY_SUFFIX = re.compile(r"(.+?)(_[0-9]{6})?", re.DOTALL).fullmatch
COIN_MARGINED = re.compile(r".+USD_(?:PERP|[0-9]{6})").fullmatch
QUOTES = ("USDT", "USDC", "BUSD")
FULL_NAMES = frozenset({"ETHBTC"})  # BTC cannot be told from the end of a base asset (PUMPBTC), and has this one only


def decimal_or_none(value: str | int | None, name: str) -> Decimal | None:
    """A finite decimal of at most `MAX_NUMBER_LENGTH` characters, not negative; None for any way to say "unknown"."""
    if type(value) is str:
        if len(value) <= MAX_NUMBER_LENGTH and PLAIN_NUMBER(value):
            return Decimal(value)
        return unusual_decimal(value.strip(), name)
    return None if value is None else unusual_decimal(str(value), name)


def unusual_decimal(text: str, name: str) -> Decimal | None:
    if text.lower() in NULL_WORDS:
        return None
    if len(text) > MAX_NUMBER_LENGTH:
        raise Rejected(f"{name}: longer than {MAX_NUMBER_LENGTH} characters")
    if PLAIN_NUMBER(text):
        return Decimal(text)
    if match := SCIENTIFIC_NUMBER(text):
        if abs(int(match[2])) > MAX_EXPONENT:
            raise Rejected(f"{name}: an exponent beyond {MAX_EXPONENT}")
        return Decimal(text)
    raise Rejected(f"{name}: negative" if text.startswith("-") else f"{name}: not a number")


def required_decimal(value: str | int | None, name: str) -> Decimal:
    number = decimal_or_none(value, name)
    if number is None:
        raise Rejected(f"{name}: missing")
    return number


def trade_time_ms(value: str | int | None) -> int:
    """Milliseconds in the years 1970 to 9999, from digits, or from ISO 8601 with an offset (finer digits are cut)."""
    if type(value) is int:
        timestamp_ms = value
    elif type(value) is str and MILLISECONDS(value):
        timestamp_ms = int(value)
    else:
        timestamp_ms = iso_time_ms(value)
    if not 0 < timestamp_ms <= MAX_TIMESTAMP_MS:
        raise Rejected("trade time: not within the years 1970 to 9999")
    return timestamp_ms


def iso_time_ms(value: str | int | None) -> int:
    text = value.strip() if isinstance(value, str) else ""
    if text.lower() in NULL_WORDS:
        raise Rejected("trade time: missing")
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise Rejected("trade time: neither milliseconds nor ISO 8601") from None
    if moment.tzinfo is None:
        # Recorders write their own wall clock ("IST"): taking that for UTC would move orders by hours, silently.
        raise Rejected("trade time: without an offset from UTC")
    try:
        return (moment - EPOCH) // MILLISECOND
    except OverflowError:
        raise Rejected("trade time: not within the years 1970 to 9999") from None


def side_of(value: str | int | None) -> str:
    side = SIDES.get(value)  # type: ignore[arg-type]
    if side is None:
        side = SIDES.get(value.strip().upper()) if isinstance(value, str) else None
    if side is None:
        raise Rejected("side: neither BUY nor SELL")
    return side


def code_or_none(value: str | int | None) -> str | None:
    """An order type, time in force or status as it was written; None for the ways to write "unknown"."""
    if value is None:
        return None
    if not isinstance(value, str) or not value.isprintable() or len(value) > MAX_CODE_LENGTH:
        raise Rejected("order type, time in force or status: not a word")
    text = value.strip()
    return None if text.lower() in NULL_WORDS else text


def is_coin_margined(symbol: str) -> bool:
    """BTCUSD_PERP, BTCUSD_230630: quantities of these are contracts. USDT-margined deliveries have the T: BTCUSDT_…"""
    return COIN_MARGINED(symbol) is not None


def restore_quote(symbol: str, quote: str) -> str:
    """The full name of a symbol that a recorder cut the quote asset from: BTC → BTCUSDT, BTC_251226 → BTCUSDT_251226.

    A name that ends in a quote asset is full already (BTCUSDC), unless there is nothing else: USDC is USDCUSDT.
    """
    match = DELIVERY_SUFFIX(symbol)
    if match is None or symbol in FULL_NAMES or is_coin_margined(symbol):
        return symbol
    base, delivery = match[1], match[2] or ""
    if any(base.endswith(known) and base != known for known in (*QUOTES, quote)):
        return symbol
    return f"{base}{quote}{delivery}"


def venue_symbol(value: Any) -> str:
    """A symbol as the venue spells it, freed of the one known junk prefix. Raises `Rejected` for other junk."""
    if not isinstance(value, str) or not value.strip():
        raise Rejected("symbol: missing")
    symbol = canonical_symbol(value.strip().removeprefix(JUNK_PREFIX))
    if not VENUE_SYMBOL(symbol):
        raise Rejected("symbol: blanks or other junk in it")
    return symbol


def stored_symbol(value: Any) -> str:
    """A symbol as some table holds it: whatever its owner put there, as long as it can be printed."""
    if not isinstance(value, str) or not value.strip():
        raise Rejected("symbol: missing")
    symbol = canonical_symbol(value)
    if not symbol.isprintable() or " " in symbol:
        raise Rejected("symbol: blanks or other junk in it")
    return symbol


class Spellings(dict[Any, Any]):
    """Remembers what a rule made of each spelling, since a file holds few of them and many rows."""

    def __init__(self, rule: Callable[[Any], Any]) -> None:
        super().__init__()
        self.rule = rule

    def __missing__(self, spelling: Any) -> Any:
        value = self.rule(spelling)
        if len(self) < MAX_KNOWN_SPELLINGS:
            self[spelling] = value
        return value
