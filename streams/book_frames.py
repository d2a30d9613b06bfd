"""The order book socket's frames as JSON text, keys in the contract's order. No Django."""

from collections.abc import Sequence
from decimal import Decimal

import msgspec

from marketdata.books.aggregation import BookView, DepthInfo, ShownLevel
from marketdata.books.parameters import BookParameters
from marketdata.formatting import Format, amount_formatter, format_clock, price_formatter
from marketdata.types import Instrument
from streams.messages import text


class BookLevel(msgspec.Struct, frozen=True, gc=False):
    """``cumulative`` is the amount from the best level of its side up to this one."""

    price: float
    amount: float
    cumulative: float
    price_formatted: str
    amount_formatted: str
    cumulative_formatted: str


class BookFrame(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="orderbook_update"):
    """A whole book as it is shown: bids highest first, asks highest first too, so the best ask is last."""

    symbol: str
    bids: Sequence[BookLevel]
    asks: Sequence[BookLevel]
    timestamp: int
    rounding: float
    rounding_options: Sequence[float]
    market_depth_info: DepthInfo
    aggregated: bool
    time_formatted: str


class ParamsUpdatedFrame(msgspec.Struct, frozen=True, tag_field="type", tag="params_updated"):
    """What the client asked for, as it said it; null where it said nothing."""

    limit: int | None
    rounding: float | None
    success: bool


def orderbook_frame(
    view: BookView,
    parameters: BookParameters,
    instrument: Instrument,
    rounding_options: Sequence[Decimal],
    now_ms: int,
) -> str:
    rounding = float(parameters.rounding)
    formats = price_formatter(instrument, rounding), amount_formatter(instrument)
    frame = BookFrame(
        symbol=instrument.symbol,
        bids=book_levels(view.bids, *formats),
        asks=book_levels(view.asks, *formats),
        timestamp=now_ms,
        rounding=rounding,
        rounding_options=[float(option) for option in rounding_options],
        market_depth_info=view.depth_info(parameters.limit),
        aggregated=True,
        time_formatted=format_clock(now_ms),
    )
    return text(frame)


def book_levels(levels: Sequence[ShownLevel], price_text: Format, amount_text: Format) -> list[BookLevel]:
    return [
        BookLevel(price, amount, cumulative, price_text(price), amount_text(amount), amount_text(cumulative))
        for price, amount, cumulative in levels
    ]


def params_updated_frame(limit: int | None, rounding: float | None) -> str:
    return text(ParamsUpdatedFrame(limit, rounding, True))
