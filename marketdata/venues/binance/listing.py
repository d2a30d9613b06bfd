"""Binance's exchangeInfo, of any year: what is listed, and the limits of the API."""

from collections.abc import Iterator
from decimal import Decimal

from msgspec import Struct, field

from marketdata.formatting import decimal_places
from marketdata.types import Instrument
from marketdata.venues.binance import VENUE
from marketdata.venues.binance.texts import Number, SymbolText

TRADING = "TRADING"


class Filter(Struct):
    kind: str = field(name="filterType")
    tick_size: Number | None = field(name="tickSize", default=None)
    step_size: Number | None = field(name="stepSize", default=None)


class Listing(Struct, rename="camel"):
    symbol: SymbolText
    base_asset: str
    quote_asset: str
    status: str
    contract_type: str = ""
    filters: list[Filter] = []


class RateLimit(Struct, rename="camel"):
    rate_limit_type: str
    interval: str
    interval_num: int
    limit: int


class ExchangeInfo(Struct, rename="camel"):
    server_time: int
    symbols: list[Listing]
    rate_limits: list[RateLimit] = []


def weight_limit(limits: list[RateLimit]) -> int | None:
    """The request weight that a minute allows."""
    wanted = ("REQUEST_WEIGHT", "MINUTE", 1)
    found = (limit.limit for limit in limits if (limit.rate_limit_type, limit.interval, limit.interval_num) == wanted)
    return next(found, None)


def instrument(listing: Listing) -> Instrument:
    tick_size = step(filter.tick_size for filter in listing.filters if filter.kind == "PRICE_FILTER")
    lot_size = step(filter.step_size for filter in listing.filters if filter.kind == "LOT_SIZE")
    return Instrument(
        venue=VENUE,
        symbol=listing.symbol,
        base_asset=listing.base_asset,
        quote_asset=listing.quote_asset,
        contract_type=listing.contract_type,
        status=listing.status,
        is_active=listing.status == TRADING,
        tick_size=tick_size,
        lot_size=lot_size,
        # From the steps: exchangeInfo's own pricePrecision is of what the venue calculates with, not of its prices.
        price_precision=decimal_places(tick_size) if tick_size else None,
        quantity_precision=decimal_places(lot_size) if lot_size else None,
    )


def step(sizes: Iterator[str | None]) -> Decimal | None:
    """The first of the sizes without the zeros at its end; None where there is none, or "0" (before trading begins)."""
    size = Decimal(next(sizes, None) or 0)
    return size.normalize() or None
