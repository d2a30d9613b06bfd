"""Binance's REST API as far as liqui asks it; public, without a key."""

from collections.abc import Callable
from typing import Self, TypeVar
from urllib.parse import urlsplit

import httpx
import msgspec

from marketdata.clock import clock_ms
from marketdata.errors import LiquiError, UnknownSymbol, VenuePayloadError, VenueRateLimited
from marketdata.types import Candle, DepthSnapshot, Instrument, Ticker, Trade
from marketdata.venues.binance import SIMULATED_HEADER, VENUE
from marketdata.venues.binance.limits import Limits, answered_ms
from marketdata.venues.binance.listing import ExchangeInfo, instrument, weight_limit
from marketdata.venues.binance.payloads import (
    AggregateTrade,
    DayTicker,
    Depth,
    KlineRow,
    candle,
    depth_snapshot,
    ticker,
    trade,
)
from marketdata.venues.binance.refusals import connection_fault, refusal

TIMEOUTS = httpx.Timeout(20, connect=5)
WEIGHT_SHARE = 0.8  # we stop there: others may use the address too, and a ban costs everybody minutes

EXCHANGE_INFO, DEPTH, KLINES = "/fapi/v1/exchangeInfo", "/fapi/v1/depth", "/fapi/v1/klines"
AGG_TRADES, TICKERS = "/fapi/v1/aggTrades", "/fapi/v1/ticker/24hr"
DEPTH_LIMITS = (5, 10, 20, 50, 100, 500, 1000)
MAX_KLINES = 1500
MAX_AGG_TRADES = 1000
INVALID_SYMBOL = -1121

T = TypeVar("T")


class Trouble(msgspec.Struct):
    """The body of an answer that is an error."""

    code: int = 0
    msg: str = ""


class BinanceREST:
    """Asks one host; to be closed. Threads may share it. Every method raises a `LiquiError` that says host and reason.

    Limits are the venue's own: after a 429 or 418 nothing is sent until its time is over, nor in a minute of which
    ``weight_share`` of the weight is used up; `VenueRateLimited` is raised instead.
    """

    def __init__(self, base_url: str, limits: Limits | None = None, weight_share: float = WEIGHT_SHARE) -> None:
        self.http = httpx.Client(base_url=base_url, timeout=TIMEOUTS, headers={"User-Agent": "liqui"})
        self.host = urlsplit(base_url).netloc
        self.limits = limits or Limits()
        self.weight_share = weight_share
        self.is_simulated = False  # whether the last answer came from our exchange simulator

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self.http.close()

    def instruments(self) -> list[Instrument]:
        """Every contract that the venue lists, in its order; weight 1."""
        info = self.get(EXCHANGE_INFO, ExchangeInfo)
        self.limits.weight_limit = weight_limit(info.rate_limits) or self.limits.weight_limit
        if not info.symbols:
            raise VenuePayloadError(f"{VENUE}: {self.host}{EXCHANGE_INFO} lists no symbols")
        return [instrument(listing) for listing in info.symbols]

    def depth(self, symbol: str, limit: int = 1000) -> DepthSnapshot:
        """The best ``limit`` levels a side, rounded up to what the venue offers, 1000 at most.

        Weight 2 up to 50 levels, 5 for 100, 10 for 500, 20 for 1000.
        """
        offered = next((offer for offer in DEPTH_LIMITS if offer >= limit), DEPTH_LIMITS[-1])
        answer = self.ask(DEPTH, symbol=symbol, limit=offered)
        return self.understood(answer, DEPTH, lambda body: depth_snapshot(decode_depth(body), symbol))

    def klines(
        self, symbol: str, timeframe: str, *, start_ms: int | None = None, end_ms: int | None = None, limit: int = 500
    ) -> list[Candle]:
        """Candles that open in [start_ms, end_ms], oldest first: the first ones from ``start_ms`` on, else the newest.

        At most 1500. Weight 1 below 100, 2 below 500, 5 up to 1000, 10 above. The venue's clock says which are closed.
        """
        limit = min(limit, MAX_KLINES)
        window = given(startTime=start_ms, endTime=end_ms)
        answer = self.ask(KLINES, symbol=symbol, interval=timeframe, limit=limit, **window)
        now_ms = answered_ms(answer.headers)
        return [
            candle(row, symbol, timeframe, is_closed=row.last_ms < now_ms)
            for row in self.understood(answer, KLINES, decode_klines)
        ]

    def agg_trades(
        self,
        symbol: str,
        *,
        from_id: int | None = None,
        start_ms: int | None = None,
        end_ms: int | None = None,
        limit: int = 500,
    ) -> list[Trade]:
        """Trades by rising id: the first ones from ``from_id`` or ``start_ms`` on, else the newest. At most 1000.

        A window of both times must be shorter than an hour, and goes without ``from_id``. Weight 20.
        """
        window = given(fromId=from_id, startTime=start_ms, endTime=end_ms)
        answer = self.ask(AGG_TRADES, symbol=symbol, limit=min(limit, MAX_AGG_TRADES), **window)
        now_ms = clock_ms()
        return [trade(row, symbol, now_ms) for row in self.understood(answer, AGG_TRADES, decode_agg_trades)]

    def tickers(self) -> list[Ticker]:
        """The last price of every symbol that is traded, and its last 24 hours; weight 40."""
        return [ticker(row) for row in self.get(TICKERS, list[DayTicker])]

    def get(self, path: str, type: type[T]) -> T:
        return self.understood(self.ask(path), path, lambda body: msgspec.json.decode(body, type=type))

    def ask(self, path: str, **parameters: str | int) -> httpx.Response:
        """An answer that is a success."""
        self.check_limits()
        try:
            answer = self.http.get(path, params=parameters)
        except httpx.HTTPError as error:
            raise connection_fault(error, self.host) from error
        self.is_simulated = SIMULATED_HEADER in answer.headers
        self.limits.note(answer.headers)
        if fault := refusal(answer.status_code, answer.headers, self.host):
            raise self.explained(fault, answer, parameters)
        return answer

    def understood(self, answer: httpx.Response, path: str, decode: Callable[[bytes], T]) -> T:
        try:
            return decode(answer.content)
        except (ValueError, RecursionError) as error:
            text = answer.text[:200]
            raise VenuePayloadError(f"{VENUE}: {self.host}{path} cannot be understood: {error}: {text!r}") from error

    def explained(self, fault: LiquiError, answer: httpx.Response, asked: dict[str, str | int]) -> LiquiError:
        """The fault, noted where it is one of limits; put better where the answer's body says more."""
        if isinstance(fault, VenueRateLimited):
            self.limits.pause(fault.retry_after_s)
        elif isinstance(fault, VenuePayloadError) and trouble_of(answer).code == INVALID_SYMBOL:
            return UnknownSymbol(f"{VENUE}: {self.host} does not know the symbol {asked.get('symbol')}")
        return fault

    def check_limits(self) -> None:
        wait_s = self.limits.wait_s(self.weight_share)
        if wait_s > 0:
            raise VenueRateLimited(f"{VENUE}: {self.host} allows no requests now, wait {wait_s:.0f} s", wait_s)


decode_depth = msgspec.json.Decoder(Depth).decode
decode_klines = msgspec.json.Decoder(list[KlineRow]).decode
decode_agg_trades = msgspec.json.Decoder(list[AggregateTrade]).decode


def given(**parameters: int | None) -> dict[str, int]:
    return {name: value for name, value in parameters.items() if value is not None}


def trouble_of(answer: httpx.Response) -> Trouble:
    try:
        return msgspec.json.decode(answer.content, type=Trouble)
    except (ValueError, RecursionError):
        return Trouble()
