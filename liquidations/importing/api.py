"""Orders from another liqui_api, ours or the original: a client for its range mode, and walking through it by time.

Pages are cut by time, not by number: the next window ends at the oldest millisecond seen, inclusively, so that rows
that arrive meanwhile shift nothing; the writer merges the rows of that millisecond that come twice.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import httpx
import msgspec
import tenacity

from liquidations.importing.checkpoint import Checkpoint
from liquidations.importing.formats.export import row_orders
from liquidations.importing.outcomes import MAX_TEXT_BYTES, Outcome, Record, Rejected, SourceUnusable
from liquidations.importing.run import Importer
from liquidations.types import ForcedOrder

PAGE_ROWS = 1000
ATTEMPTS = 8
MAX_RETRY_AFTER_S = 300.0
# The original searches the whole table for a page, up to its own limit of 120 s.
TIMEOUTS = httpx.Timeout(150, connect=10)
RETRIED_STATUSES = frozenset({429, 500, 502, 503, 504})

Row = dict[str, Any]
# Floats become their text: numbers are read exactly, by `values`.
decode = msgspec.json.Decoder(float_hook=str).decode


class ServiceAway(SourceUnusable):
    """The service did not answer, however often it was asked; the other symbols need not be tried."""


class Unavailable(Exception):
    """An answer worth asking again for; ``retry_after_s`` is the server's own wish."""

    def __init__(self, reason: str, retry_after_s: float | None = None) -> None:
        super().__init__(reason)
        self.retry_after_s = retry_after_s


@dataclass(frozen=True, slots=True)
class Page:
    rows: Sequence[Any]
    has_more: bool


class LiquiClient:
    """Range-mode reads of one service. Every method raises `SourceUnusable` when the service does not answer."""

    def __init__(self, url: str, http: httpx.Client, sleep: Callable[[float], None] = time.sleep) -> None:
        self.http = http
        self.retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type((httpx.TransportError, Unavailable)),
            stop=tenacity.stop_after_attempt(ATTEMPTS),
            wait=wait_as_told,
            reraise=True,
            sleep=sleep,
        )
        self.base = self.find_base(url.rstrip("/"))

    def find_base(self, url: str) -> str:
        """The address that the endpoints hang under: the one given, or its /api."""
        for base in (url, f"{url}/api"):
            # Without parameters the endpoint answers 422, whatever its database does.
            if self.get(f"{base}/liquidation-orders").status_code == 422:
                return base
        raise SourceUnusable("there is no liqui_api (nothing that answers /liquidation-orders as it does)")

    def symbols(self) -> list[str]:
        answer = self.get(f"{self.base}/symbols")
        symbols = self.body(answer)
        if answer.status_code != 200 or not isinstance(symbols, list):
            raise SourceUnusable(f"/symbols answered {answer.status_code}: {answer.text[:200]}")
        return [symbol for symbol in symbols if isinstance(symbol, str)]

    def page(self, symbol: str, start_ms: int, end_ms: int, page: int = 1) -> Page:
        """Orders of [start_ms, end_ms], newest first."""
        answer = self.get(
            f"{self.base}/liquidation-orders",
            symbol=symbol,
            start_timestamp=start_ms,
            end_timestamp=end_ms,
            page=page,
            page_size=PAGE_ROWS,
            numbers="string",  # exact digits from a service that knows this; the original ignores it
        )
        if answer.status_code == 404:
            return Page([], has_more=False)  # its way to say "no rows"
        envelope = self.body(answer)
        rows = envelope.get("data") if answer.status_code == 200 and isinstance(envelope, dict) else None
        if not isinstance(rows, list):
            raise SourceUnusable(f"{symbol}: answered {answer.status_code}: {answer.text[:200]}")
        pagination = envelope.get("pagination")
        has_more = pagination.get("has_more") if isinstance(pagination, dict) else len(rows) >= PAGE_ROWS
        return Page(rows, bool(has_more))

    def get(self, url: str, **params: str | int) -> httpx.Response:
        try:
            return self.retrying(self.get_once, url, params)
        except (httpx.HTTPError, httpx.InvalidURL, Unavailable) as error:
            raise ServiceAway(f"{url}: {str(error) or type(error).__name__}") from error

    def get_once(self, url: str, params: dict[str, str | int]) -> httpx.Response:
        answer = self.http.get(url, params=params, follow_redirects=True, timeout=TIMEOUTS)
        if answer.status_code in RETRIED_STATUSES:
            reason = f"answered {answer.status_code}: {answer.text[:200]}"
            raise Unavailable(reason, seconds_or_none(answer.headers.get("Retry-After")))
        return answer

    def body(self, answer: httpx.Response) -> Any:
        try:
            return decode(answer.content)
        except (ValueError, RecursionError):
            return None


def seconds_or_none(text: str | None) -> float | None:
    return min(float(text), MAX_RETRY_AFTER_S) if text and text.strip().isdecimal() else None


def wait_as_told(state: tenacity.RetryCallState) -> float:
    """As long as the server asks; else exponentially longer with jitter, at most 30 s."""
    error = state.outcome.exception() if state.outcome else None
    told_s = error.retry_after_s if isinstance(error, Unavailable) else None
    return told_s if told_s is not None else tenacity.wait_random_exponential(multiplier=0.5, max=30)(state)


def windows(client: LiquiClient, symbol: str, start_ms: int, end_ms: int) -> Iterator[tuple[Sequence[Any], int | None]]:
    """Rows of [start_ms, end_ms], newest first, in pages; with each the end of what is left, None when nothing is."""
    left_ms: int | None = end_ms
    while left_ms is not None and left_ms >= start_ms:
        end_ms = left_ms
        page = client.page(symbol, start_ms, end_ms)
        left_ms = oldest_ms(symbol, page, start_ms, end_ms) if page.has_more else None
        if left_ms == end_ms:
            # One millisecond fills a page: only page numbers lead through it.
            yield from ((rows, end_ms) for rows in pages_of_instant(client, symbol, end_ms))
            left_ms = end_ms - 1 if end_ms > start_ms else None
        yield page.rows, left_ms


def oldest_ms(symbol: str, page: Page, start_ms: int, end_ms: int) -> int:
    times = [row["order_trade_time"] for row in page.rows if has_time(row)]
    if not times or not start_ms <= min(times) <= end_ms:
        raise SourceUnusable(f"{symbol}: a page for {start_ms} to {end_ms} without a trade time in it")
    return min(times)


def pages_of_instant(client: LiquiClient, symbol: str, instant_ms: int) -> Iterator[Sequence[Any]]:
    number, has_more = 2, True
    while has_more:
        page = client.page(symbol, instant_ms, instant_ms, number)
        yield page.rows
        number, has_more = number + 1, page.has_more


def has_time(row: Any) -> bool:
    return isinstance(row, dict) and type(row.get("order_trade_time")) is int


def take_over(
    importer: Importer,
    client: LiquiClient,
    symbols: Sequence[str],
    checkpoint: Checkpoint,
    *,
    remember: bool = True,
) -> None:
    """Import these symbols over the checkpoint's window, from where it says; without ``remember`` it is not changed.

    A symbol that fails is named in the summary, and stays in the checkpoint; so do all when the service goes away.
    """
    since_ms, until_ms = checkpoint.since_ms, checkpoint.until_ms
    done = 0
    is_complete = True
    for done, symbol in enumerate(symbols):
        end_ms = checkpoint.next_end_ms.get(symbol, until_ms)
        label = f"{client.base} {symbol}"
        try:
            rows_before = 0
            for rows, left_ms in windows(client, symbol, since_ms, end_ms) if end_ms is not None else ():
                importer.take(label, page_records(rows, rows_before), lambda: done)  # noqa: B023
                rows_before += len(rows)
                if remember:
                    checkpoint.save(symbol, left_ms)
        except SourceUnusable as fault:
            importer.name_bad(label, str(fault))
            is_complete = False
            if isinstance(fault, ServiceAway):
                break
    if is_complete and remember:
        checkpoint.remove()


def page_records(rows: Sequence[Any], rows_before: int) -> Iterator[Record]:
    """Records of a page; their line is the row's number among those of its symbol, newest first."""
    parse = row_orders()
    for number, row in enumerate(rows, rows_before + 1):
        try:
            outcome: Outcome = parse(row, False) if isinstance(row, dict) else Rejected("text: not a JSON object")
        except Rejected as rejected:
            outcome = rejected
        is_order = type(outcome) is ForcedOrder
        yield Record(number, b"" if is_order else msgspec.json.encode(row)[:MAX_TEXT_BYTES], outcome)
