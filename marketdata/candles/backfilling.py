"""Fetching a symbol's past from the venue into the table, in parts of which each may be a task; what is there stays.

A person asks for it by a command, so the venue is asked whatever the feed collects.
"""

from collections.abc import Callable, Iterator

from tenacity import RetryCallState, Retrying, retry_if_exception, stop_after_attempt, wait_random_exponential

from marketdata.candles.asking import Klines, klines_between
from marketdata.candles.gaps import candle_count, windows_of
from marketdata.candles.queries import candle_gaps
from marketdata.candles.services import candle_upsert
from marketdata.errors import VenueRateLimited, VenueUnavailable
from marketdata.timeframes import candle_close_ms
from marketdata.venue import venue
from marketdata.venues.binance import VENUE

PART = 10_000  # candles of one task
LONGEST_WAIT_S = 300.0  # that anybody waits for the venue's permission; a ban may be of days
ATTEMPTS = 8

Told = Callable[[int], object]  # of candles that are done, stored or known not to exist


def source_timeframe(timeframe: str) -> str:
    """What is fetched for it: the venue's three days may begin on other days than ours, so days are fetched."""
    return "1d" if timeframe == "3d" else timeframe


def backfill_parts(timeframe: str, start_ms: int, end_ms: int) -> Iterator[range]:
    return windows_of(timeframe, start_ms, end_ms, PART)


def candles_backfill(
    symbol: str, timeframe: str, start_ms: int, end_ms: int, *, klines: Klines | None = None, told: Told | None = None
) -> int:
    """Fetch the candles of [start_ms, end_ms) that are missing; how many were stored. Raises `LiquiError`.

    Whatever it was interrupted by, running it again goes on. ``klines`` asks the venue (default: once, at once).
    """
    told = told or (lambda done: None)
    gaps = candle_gaps(VENUE, symbol, timeframe, start_ms, end_ms)
    told(candle_count(timeframe, start_ms, end_ms) - sum(candle_count(timeframe, gap.start, gap.stop) for gap in gaps))
    return sum(gap_backfill(symbol, timeframe, gap, klines or venue().past_klines, told) for gap in gaps)


def gap_backfill(symbol: str, timeframe: str, gap: range, klines: Klines, told: Told) -> int:
    stored, done_ms = 0, gap.start
    for page in klines_between(klines, symbol, timeframe, gap):
        stored += candle_upsert([candle for candle in page if candle.is_closed])
        if page:
            next_ms = candle_close_ms(timeframe, page[-1].open_ms)
            told(candle_count(timeframe, done_ms, next_ms))
            done_ms = next_ms
    told(candle_count(timeframe, done_ms, gap.stop))
    return stored


def patient_klines(waits: Callable[[float, str], object]) -> Klines:
    """The venue's klines, asked for again when it wants fewer requests or cannot be reached; ``waits`` is told."""

    def note(state: RetryCallState) -> None:
        if state.outcome and state.next_action:
            waits(state.next_action.sleep, str(state.outcome.exception()))

    retrying = Retrying(
        retry=retry_if_exception(is_worth_waiting),
        wait=wait_as_told,
        stop=stop_after_attempt(ATTEMPTS),
        before_sleep=note,
        reraise=True,
    )
    return lambda symbol, timeframe, **window: retrying(venue().past_klines, symbol, timeframe, **window)


def is_worth_waiting(error: BaseException) -> bool:
    if isinstance(error, VenueRateLimited):
        return error.retry_after_s <= LONGEST_WAIT_S
    return isinstance(error, VenueUnavailable)


def wait_as_told(state: RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome else None
    if isinstance(error, VenueRateLimited):
        return error.retry_after_s
    return wait_random_exponential(multiplier=1, max=60)(state)
