"""The process's one access to the venue: callers of all threads share one client, and equal requests that meet."""

from collections.abc import Callable, Hashable
from concurrent.futures import Future
from functools import partial
from threading import Lock
from typing import Any, TypeVar

from django.conf import settings
from prometheus_client import Counter

from marketdata.errors import (
    FeedMismatch,
    LiquiError,
    UnknownSymbol,
    VenueBlocked,
    VenuePayloadError,
    VenueRateLimited,
    VenueUnavailable,
)
from marketdata.types import Candle, DepthSnapshot, Instrument, Ticker, Trade
from marketdata.venues.binance.limits import Limits
from marketdata.venues.binance.rest import AGG_TRADES, DEPTH, EXCHANGE_INFO, KLINES, TICKERS, WEIGHT_SHARE, BinanceREST

REAL_FEEDS = ("none", "live")
COLLECTING_FEEDS = ("live", "simulated", "replay")
# Longer than a request may take by its own limits: whoever waits for another's request gives up on it then.
PATIENCE_S = 60.0
# Of a minute's request weight: clients that ask for much must leave the collector what its books need.
CLIENTS_SHARE = 0.5

REQUESTS = Counter("liqui_venue_requests", "Requests to the venue's REST API, by how they ended", ["path", "outcome"])
SHARED = Counter("liqui_venue_shared", "Callers that shared a request of another's to the venue's REST API", ["path"])
# The first that fits: the special before the general.
OUTCOMES: tuple[tuple[type[LiquiError], str], ...] = (
    (UnknownSymbol, "unknown_symbol"),
    (VenuePayloadError, "payload"),
    (VenueRateLimited, "rate_limited"),
    (VenueUnavailable, "unavailable"),
    (VenueBlocked, "blocked"),
    (FeedMismatch, "feed_mismatch"),
)

T = TypeVar("T")


class Venue:
    """A `BinanceREST` of this process. Every method raises what that one's raises; besides, `FeedMismatch` where the
    answer must not be mixed with our data, and `VenueUnavailable` while the feed collects nothing.
    """

    def __init__(self, base_url: str, limits: Limits, weight_share: float) -> None:
        self.rest = BinanceREST(base_url, limits, weight_share)
        self.lock = Lock()
        self.asked: dict[Hashable, Future[Any]] = {}

    def instruments(self) -> list[Instrument]:
        """Also for feeds that collect nothing: a person may ask for the list by a command."""

        def checked() -> list[Instrument]:
            listed = self.rest.instruments()
            check_feed(self.rest)
            return listed

        return self.shared(EXCHANGE_INFO, checked)

    def depth(self, symbol: str, limit: int = 1000) -> DepthSnapshot:
        return self.market(DEPTH, self.rest.depth, symbol, limit)

    def klines(
        self, symbol: str, timeframe: str, *, start_ms: int | None = None, end_ms: int | None = None, limit: int = 500
    ) -> list[Candle]:
        check_collecting()
        return self.past_klines(symbol, timeframe, start_ms=start_ms, end_ms=end_ms, limit=limit)

    def past_klines(
        self, symbol: str, timeframe: str, *, start_ms: int | None = None, end_ms: int | None = None, limit: int = 500
    ) -> list[Candle]:
        """As `klines`, also for feeds that collect nothing: a person may fetch the past of a symbol by a command."""
        return self.kept(KLINES, self.rest.klines, symbol, timeframe, start_ms=start_ms, end_ms=end_ms, limit=limit)

    def agg_trades(
        self,
        symbol: str,
        *,
        from_id: int | None = None,
        start_ms: int | None = None,
        end_ms: int | None = None,
        limit: int = 500,
    ) -> list[Trade]:
        return self.market(
            AGG_TRADES,
            self.rest.agg_trades,
            symbol,
            from_id=from_id,
            start_ms=start_ms,
            end_ms=end_ms,
            limit=limit,
        )

    def tickers(self) -> list[Ticker]:
        return self.market(TICKERS, self.rest.tickers)

    def market(self, path: str, ask: Callable[..., T], *arguments: Any, **options: Any) -> T:
        """Of a feed that collects alone."""
        check_collecting()
        return self.kept(path, ask, *arguments, **options)

    def kept(self, path: str, ask: Callable[..., T], *arguments: Any, **options: Any) -> T:
        """Data that are kept: never made-up ones beside real ones."""

        def checked() -> T:
            answer = ask(*arguments, **options)
            check_market_feed(self.rest)
            return answer

        return self.shared(path, checked, *arguments, *options.items())

    def shared(self, path: str, ask: Callable[[], T], *arguments: Hashable) -> T:
        """What ``ask`` returns or raises; of callers that meet with equal arguments one asks."""
        key = path, arguments
        with self.lock:
            request: Future[T] | None = self.asked.get(key)
            is_ours = request is None
            if request is None:
                request = self.asked[key] = Future()
        if not is_ours:
            SHARED.labels(path).inc()
            return awaited(request, self.rest.host)
        try:
            fulfil(request, partial(counted, path, ask))
        finally:
            with self.lock:
                del self.asked[key]
        return request.result()

    def close(self) -> None:
        self.rest.close()


def fulfil(request: "Future[T]", ask: Callable[[], T]) -> None:
    try:
        request.set_result(ask())
    except Exception as error:
        request.set_exception(error)
    except BaseException:
        # What ends this thread alone (SystemExit, KeyboardInterrupt) must not end those who wait.
        request.set_exception(VenueUnavailable("the request to the venue was broken off"))
        raise


def awaited(request: "Future[T]", host: str) -> T:
    try:
        return request.result(PATIENCE_S)
    except TimeoutError as error:
        raise VenueUnavailable(f"{host}: no answer in {PATIENCE_S:.0f} s") from error


def counted(path: str, ask: Callable[[], T]) -> T:
    try:
        answer = ask()
    except LiquiError as error:
        outcome = next((name for kind, name in OUTCOMES if isinstance(error, kind)), "failed")
        REQUESTS.labels(path, outcome).inc()
        raise
    REQUESTS.labels(path, "ok").inc()
    return answer


def check_collecting() -> None:
    if settings.LIQUI_FEED not in COLLECTING_FEEDS:
        raise VenueUnavailable(f"FEED={settings.LIQUI_FEED} asks no venue: what is not stored is not known")


def check_feed(rest: BinanceREST) -> None:
    if rest.is_simulated and settings.LIQUI_FEED in REAL_FEEDS:
        raise FeedMismatch(
            f"{rest.host} is a simulated exchange and FEED={settings.LIQUI_FEED} keeps real data: nothing was written. "
            "Set FEED=simulated, or BINANCE_API_BASE_URL to the exchange itself."
        )


def check_market_feed(rest: BinanceREST) -> None:
    check_feed(rest)
    if not rest.is_simulated and settings.LIQUI_FEED not in REAL_FEEDS:
        raise FeedMismatch(
            f"{rest.host} is no simulated exchange and FEED={settings.LIQUI_FEED} keeps made-up data: nothing is taken "
            "from it. Set FEED=live, or BINANCE_API_BASE_URL to a simulator."
        )


limits: dict[str, Limits] = {}
venues: dict[tuple[str, float], Venue] = {}
venues_lock = Lock()


def venue(weight_share: float = CLIENTS_SHARE) -> Venue:
    """The access to the exchange that the settings name now: `manage.py serve` names a simulator after its start."""
    base_url = settings.BINANCE_API_BASE_URL
    with venues_lock:
        found = venues.get((base_url, weight_share))
        if found is None:
            allowed = limits.setdefault(base_url, Limits())
            found = venues[base_url, weight_share] = Venue(base_url, allowed, weight_share)
        return found


def collectors_venue() -> Venue:
    """The same for the collector, whose requests keep books, trades and candles right."""
    return venue(WEIGHT_SHARE)


def venue_reset() -> None:
    """Forget all clients, and what they know of limits."""
    with venues_lock:
        for each in venues.values():
            each.close()
        venues.clear()
        limits.clear()
