"""A book as terminals show it: levels added up per step of price.

A bid counts at the multiple of the rounding at or below its price, an ask at that at or above it: decimal arithmetic,
and integers in it, so that sums are exact until the numbers become floats for JSON.
"""

from bisect import bisect_left
from decimal import Decimal

import msgspec

from marketdata.books.book import EXACT, BookSide, OrderBook

DUST = 10**6  # a level of no more than one part of this is left out
RAW_LEVELS = 10  # that should be there for each one that is shown

ShownLevel = tuple[float, float, float]  # price, amount, and the amount from the best level up to this one


class DepthInfo(msgspec.Struct, frozen=True, kw_only=True):
    """Whether there is as much to show as was asked for, under the names that terminals know.

    ``message`` says to a person what is lacking, "" if nothing is.
    """

    has_insufficient_raw_data: bool
    is_market_depth_limited: bool
    actual_levels: int
    requested_levels: int
    raw_bids_count: int
    raw_asks_count: int
    min_required_raw_data: int
    insufficient_levels: bool
    message: str


class BookView(msgspec.Struct, frozen=True, kw_only=True):
    """A book as it is shown: bids highest first, asks highest first too, so the best ask is last."""

    bids: list[ShownLevel]
    asks: list[ShownLevel]
    raw_bids_count: int
    raw_asks_count: int

    def depth_info(self, limit: int) -> DepthInfo:
        """Of a view that should have ``limit`` levels."""
        actual = min(len(self.bids), len(self.asks))
        return DepthInfo(
            has_insufficient_raw_data=min(self.raw_bids_count, self.raw_asks_count) < RAW_LEVELS * limit,
            is_market_depth_limited=actual < limit,
            actual_levels=actual,
            requested_levels=limit,
            raw_bids_count=self.raw_bids_count,
            raw_asks_count=self.raw_asks_count,
            min_required_raw_data=RAW_LEVELS * limit,
            insufficient_levels=actual < limit,
            message="" if actual >= limit else f"Only {actual} of {limit} levels are known at this rounding",
        )


def aggregate(book: OrderBook, limit: int, rounding: Decimal) -> BookView:
    """The best ``limit`` levels of each side, in time linear in the levels that they are made of."""
    asks = buckets(book.asks, limit, rounding)
    asks.reverse()
    return BookView(
        bids=buckets(book.bids, limit, rounding),
        asks=asks,
        raw_bids_count=len(book.bids.keys),
        raw_asks_count=len(book.asks.keys),
    )


def buckets(side: BookSide, limit: int, rounding: Decimal) -> list[ShownLevel]:
    """Best first. Keys of asks are negative, so both sides round down."""
    keys, quantities = side.keys, side.quantities
    # Bucket n begins at n × width ÷ parts; parts is 1 unless the rounding is finer than all prices.
    width, parts = EXACT.scaleb(rounding, side.prices.places).as_integer_ratio()
    price_unit, amount_unit = side.prices.unit * parts, side.amounts.unit
    shown: list[ShownLevel] = []
    cumulative = 0
    end = len(keys)
    while end and len(shown) < limit:
        bucket = keys[end - 1] * parts // width
        if bucket == 0:
            break  # bids below the first multiple: nobody sells for nothing
        first_key = -(-bucket * width // parts)
        start = end - 1
        if start and keys[start - 1] >= first_key:
            start = bisect_left(keys, first_key, 0, start)
        amount = sum(quantities[start:end])
        end = start
        if amount * DUST > amount_unit:
            cumulative += amount
            shown.append((abs(bucket) * width / price_unit, amount / amount_unit, cumulative / amount_unit))
    return shown
