"""Binance's REST API as far as liqui asks it; public, without a key."""

import time
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Self, TypeVar
from urllib.parse import urlsplit

import httpx
import msgspec
from msgspec import Struct, field

from marketdata.errors import VenuePayloadError, VenueRateLimited
from marketdata.types import Instrument
from marketdata.venues.binance import SIMULATED_HEADER, VENUE
from marketdata.venues.binance.refusals import connection_fault, refusal
from marketdata.venues.binance.wire import Number, SymbolText

TIMEOUTS = httpx.Timeout(20, connect=5)
TRADING = "TRADING"
WEIGHT_HEADER = "X-MBX-USED-WEIGHT-1M"
WEIGHT_LIMIT = 2400  # a minute and address, for everybody who shares it; exchangeInfo says the venue's present one
WEIGHT_SHARE = 0.8  # we stop there: others may use the address too, and a ban costs everybody minutes
MINUTE_S = 60.0

T = TypeVar("T")


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


class BinanceREST:
    """Asks one host; to be closed. Every method raises a `LiquiError` that says host and reason.

    Limits are the venue's own: after a 429 or 418 nothing is sent until its time is over, nor for a minute after its
    weight is nearly used up; `VenueRateLimited` is raised instead.
    """

    def __init__(self, base_url: str, clock: Callable[[], float] = time.monotonic) -> None:
        self.http = httpx.Client(base_url=base_url, timeout=TIMEOUTS, headers={"User-Agent": "liqui"})
        self.host = urlsplit(base_url).netloc
        self.clock = clock
        self.used_weight = 0
        self.weight_limit = WEIGHT_LIMIT
        self.resume_at = 0.0  # by the clock
        self.is_simulated = False  # whether the last answer came from our exchange simulator

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.http.close()

    def instruments(self) -> list[Instrument]:
        """Every contract that the venue lists, in its order; weight 1."""
        info = self.get("/fapi/v1/exchangeInfo", ExchangeInfo)
        self.weight_limit = weight_limit(info.rate_limits) or self.weight_limit
        if not info.symbols:
            raise VenuePayloadError(f"{VENUE}: {self.host}/fapi/v1/exchangeInfo lists no symbols")
        return [instrument(listing) for listing in info.symbols]

    def get(self, path: str, type: type[T], **parameters: str | int) -> T:
        self.check_limits()
        try:
            answer = self.http.get(path, params=parameters)
        except httpx.HTTPError as error:
            raise connection_fault(error, self.host) from error
        self.note_limits(answer.headers)
        if fault := refusal(answer.status_code, answer.headers, self.host):
            if isinstance(fault, VenueRateLimited):
                self.resume_at = self.clock() + fault.retry_after_s
            raise fault
        try:
            return msgspec.json.decode(answer.content, type=type)
        except (ValueError, RecursionError) as error:
            text = answer.text[:200]
            raise VenuePayloadError(f"{VENUE}: {self.host}{path} cannot be understood: {error}: {text!r}") from error

    def check_limits(self) -> None:
        wait_s = self.resume_at - self.clock()
        if wait_s > 0:
            raise VenueRateLimited(f"{VENUE}: {self.host} allows no requests now, wait {wait_s:.0f} s", wait_s)

    def note_limits(self, headers: httpx.Headers) -> None:
        self.is_simulated = SIMULATED_HEADER in headers
        weight = headers.get(WEIGHT_HEADER, "")
        self.used_weight = int(weight) if weight.isdecimal() else self.used_weight
        if self.used_weight >= WEIGHT_SHARE * self.weight_limit:
            self.resume_at = self.clock() + MINUTE_S


def weight_limit(limits: list[RateLimit]) -> int | None:
    """The request weight that a minute allows."""
    wanted = ("REQUEST_WEIGHT", "MINUTE", 1)
    found = (limit.limit for limit in limits if (limit.rate_limit_type, limit.interval, limit.interval_num) == wanted)
    return next(found, None)


def instrument(listing: Listing) -> Instrument:
    return Instrument(
        venue=VENUE,
        symbol=listing.symbol,
        base_asset=listing.base_asset,
        quote_asset=listing.quote_asset,
        contract_type=listing.contract_type,
        status=listing.status,
        is_active=listing.status == TRADING,
        tick_size=step(filter.tick_size for filter in listing.filters if filter.kind == "PRICE_FILTER"),
        lot_size=step(filter.step_size for filter in listing.filters if filter.kind == "LOT_SIZE"),
    )


def step(sizes: Iterator[str | None]) -> Decimal | None:
    """The first of the sizes without the zeros at its end; None where there is none, or "0" (before trading begins)."""
    size = Decimal(next(sizes, None) or 0)
    return size.normalize() or None
