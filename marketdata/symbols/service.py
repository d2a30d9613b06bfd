"""Every lookup of a symbol: in the table of instruments, which is filled first where it is empty."""

import time
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from threading import Lock

import structlog
from django.conf import settings

from marketdata.clock import clock_ms
from marketdata.errors import LiquiError
from marketdata.errors import SymbolNotFound as SymbolNotFound  # for those who look symbols up
from marketdata.instruments import instrument_find, instruments_exist, instruments_listed, instruments_rows
from marketdata.models import InstrumentRow
from marketdata.services import instruments_list, tickers_sync
from marketdata.suggestions import not_found_text, suggest
from marketdata.symbols.builtin import BUILTIN
from marketdata.types import Instrument
from marketdata.venue import COLLECTING_FEEDS

logger = structlog.get_logger(__name__)

RETRY_S = 10.0  # after the venue could not be asked
PATIENCE_S = 3.0  # that anybody waits for volumes which another one is asking for
VOLUME_LIFE_MS = 3_600_000  # then a volume says nothing any more of the last 24 hours


class Origin(StrEnum):
    """Where what is known of symbols comes from."""

    TABLE = "table"
    BUILTIN = "builtin"  # the venue could not be asked, and never has been
    NONE = "none"  # the table is empty, and the feed asks no venue


@dataclass(frozen=True, slots=True)
class Traded:
    """An instrument with its last price and its volume of 24 hours in quote asset, None where they are not known."""

    instrument: Instrument
    last_price: Decimal | None = None
    volume_24h: Decimal | None = None


filling = Lock()
failed_at: float | None = None  # monotonic seconds; when the venue could not be asked for instruments,
volumes_failed_at: float | None = None  # and for volumes


def symbol_find(symbol: str) -> Instrument:
    """The instrument of exactly this name (case matters), delisted ones included: they have a history.

    Raises `SymbolNotFound` with symbols that may have been meant, and Django's database errors.
    """
    found = symbol_known(symbol)
    if found is None:
        raise SymbolNotFound(not_found_text(symbol, symbol_suggestions(symbol)))
    return found


def symbol_known(symbol: str) -> Instrument | None:
    """As `symbol_find`, where a symbol that is not listed is no error."""
    found = instrument_find(symbol)
    if found is not None:
        return found
    # Looked up again: the table may have been filled after the first look, by us or by a collector.
    return BUILTIN.get(symbol) if symbols_origin() is Origin.BUILTIN else instrument_find(symbol)


def symbol_suggestions(text: str) -> list[str]:
    """Up to three active symbols that may have been meant by ``text``, the likeliest first."""
    return suggest(text, [each.instrument.symbol for each in traded_unsorted()])


def symbols_active() -> list[Instrument]:
    """All that can be traded, the most traded first."""
    return [each.instrument for each in symbols_traded()]


def symbols_traded() -> list[Traded]:
    """All that can be traded, by falling volume of 24 hours; those without one come last, in the venue's order."""
    return sorted(traded_unsorted(), key=lambda each: -(each.volume_24h or 0))


def traded_unsorted() -> list[Traded]:
    """In the venue's own order."""
    stand_ins = BUILTIN.values() if symbols_origin() is Origin.BUILTIN else ()
    rows, oldest_ms = instruments_rows(), clock_ms() - VOLUME_LIFE_MS
    known = {row.symbol for row in rows}
    return [
        *(Traded(instrument) for instrument in stand_ins if instrument.symbol not in known),
        *(traded(row, oldest_ms) for row in rows if row.is_active),
    ]


def traded(row: InstrumentRow, oldest_ms: int) -> Traded:
    is_known = row.volume_at_ms is not None and row.volume_at_ms >= oldest_ms
    return Traded(row.to_instrument(), row.last_price, row.volume_24h if is_known else None)


def symbols_origin() -> Origin:
    """Where symbols come from now. A table without the venue's is filled first, by one of all threads, the others wait.

    Rows of the user's own, and of imports, are known beside the built-in ones.
    """
    global failed_at
    if instruments_listed():
        return Origin.TABLE
    if settings.LIQUI_FEED not in COLLECTING_FEEDS:
        return Origin.TABLE if instruments_exist() else Origin.NONE
    with filling:
        if instruments_listed():
            return Origin.TABLE
        if failed_at is None or time.monotonic() - failed_at >= RETRY_S:
            failed_at = None if instruments_filled() else time.monotonic()
        return Origin.TABLE if failed_at is None else Origin.BUILTIN


def instruments_filled() -> bool:
    try:
        instruments_list()
    except LiquiError as error:
        logger.warning("instruments cannot be listed, a built-in list stands in", error=str(error))
        return False
    return True


def symbols_ready() -> Origin:
    """As `symbols_origin`, for who wants volumes as well: the venue is asked for them where none is known."""
    origin = symbols_origin()
    if origin is Origin.TABLE:
        volumes_fill()
    return origin


def volumes_fill() -> None:
    """Ask the venue for volumes where there is none yet, once for all threads; from then on Celery does.

    A venue that is silent may keep the one who asks for long, but not the others.
    """
    global volumes_failed_at
    if settings.LIQUI_FEED not in COLLECTING_FEEDS:
        return
    if not filling.acquire(timeout=PATIENCE_S):
        return
    try:
        has_failed = volumes_failed_at is not None and time.monotonic() - volumes_failed_at < RETRY_S
        if has_failed or InstrumentRow.objects.exclude(volume_at_ms=None).exists():
            return
        tickers_sync()
    except LiquiError as error:
        volumes_failed_at = time.monotonic()
        logger.warning("24h volumes are not known", error=str(error))
    finally:
        filling.release()


def symbols_reset() -> None:
    """Forget that the venue could not be asked."""
    global failed_at, volumes_failed_at
    failed_at = volumes_failed_at = None
