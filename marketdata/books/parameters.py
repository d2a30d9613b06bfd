"""How a client wants a book shown: what its URL and its messages say, checked."""

import re
from collections.abc import Mapping
from decimal import Decimal
from reprlib import repr as excerpt
from typing import Any

import msgspec

from marketdata.formatting import default_rounding, price_decimals, rounding_options
from marketdata.types import Instrument

DEFAULT_LIMIT = 20
MIN_LIMIT, MAX_ASKED, MAX_LIMIT = 5, 5000, 1000  # more than MAX_LIMIT may be asked for, and is not given
DEFAULT_ROUNDING = Decimal("0.01")
MAX_ROUNDING = 10**12
FINEST = Decimal("1E-18")  # as fine as a venue's prices get

WHOLE = re.compile(r"\+?[0-9]{1,9}\Z")
NUMBER = re.compile(r"\+?(?:[0-9]{1,30}\.?[0-9]{0,30}|\.[0-9]{1,30})(?:[eE][+-]?[0-9]{1,2})?\Z")


class BadBookParameters(ValueError):
    """Parameters that cannot be meant; the text says which."""


class BookParameters(msgspec.Struct, frozen=True):
    """How a book is shown: the best ``limit`` levels of each side, each as wide as ``rounding``."""

    limit: int
    rounding: Decimal


class AskedParameters(msgspec.Struct, frozen=True):
    """What a client has asked for. ``rounding`` None: what suits the instrument."""

    limit: int = DEFAULT_LIMIT
    rounding: Decimal | None = None

    @classmethod
    def from_query(cls, query: Mapping[str, str]) -> "AskedParameters":
        """From the URL's parameters: limit=20&rounding=0.1. Raises `BadBookParameters`."""
        limit, rounding = query.get("limit"), query.get("rounding")
        return cls().updated(
            {
                "limit": int(limit) if limit is not None and WHOLE.match(limit) else limit,
                "rounding": Decimal(rounding) if rounding is not None and NUMBER.match(rounding) else rounding,
            }
        )

    def updated(self, message: Mapping[str, Any]) -> "AskedParameters":
        """As an ``update_params`` message wants it; what it does not name, or names null, stays.

        Raises `BadBookParameters`.
        """
        limit, rounding = message.get("limit"), message.get("rounding")
        return AskedParameters(
            self.limit if limit is None else checked_limit(limit),
            self.rounding if rounding is None else checked_rounding(rounding),
        )

    def within(self, instrument: Instrument, max_limit: int) -> BookParameters:
        """What is shown of an instrument's book: no more levels than are given, and none narrower than its price step.

        Who names no rounding gets 0.01, or the instrument's usual one where that is finer: 0.01 is too wide for many.
        """
        limit = max(MIN_LIMIT, min(self.limit, MAX_LIMIT, max_limit))
        rounding = usual_rounding(instrument) if self.rounding is None else self.rounding
        return BookParameters(limit, effective_rounding(rounding, instrument))


def usual_rounding(instrument: Instrument) -> Decimal:
    return min(DEFAULT_ROUNDING, default_rounding(rounding_options(price_decimals(instrument), None)))


def effective_rounding(rounding: Decimal, instrument: Instrument) -> Decimal:
    """The rounding, or the instrument's price step where that is wider: nothing can be shown finer than it is."""
    return max(rounding, instrument.tick_size or FINEST)


def checked_limit(limit: Any) -> int:
    if type(limit) is not int or not MIN_LIMIT <= limit <= MAX_ASKED:
        raise BadBookParameters(
            f"limit must be a whole number from {MIN_LIMIT} to {MAX_ASKED}, and not {excerpt(limit)}"
        )
    return limit


def checked_rounding(rounding: Any) -> Decimal:
    """As the decimal that was written: a float stands for the shortest one that it is read from."""
    if type(rounding) not in (int, float, Decimal) or not 0 < rounding <= MAX_ROUNDING:
        raise BadBookParameters(
            f"rounding must be a number above 0, at most {MAX_ROUNDING}, and not {excerpt(rounding)}"
        )
    return rounding if isinstance(rounding, Decimal) else Decimal(repr(rounding))
