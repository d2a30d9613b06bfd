"""Writes of the table of instruments."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import structlog
from django.conf import settings
from django.db import connection, transaction
from django.db.models import Q

from cachemgmt.caching import changed
from database.retrying import retry_when_busy
from marketdata.clock import clock_ms
from marketdata.errors import LiquiError
from marketdata.formatting import decimal_places
from marketdata.instruments import readable
from marketdata.models import InstrumentRow
from marketdata.types import Instrument
from marketdata.venue import COLLECTING_FEEDS, venue
from marketdata.venues.binance import VENUE
from marketdata.venues.binance.listing import TRADING

logger = structlog.get_logger(__name__)

KEY = ["exchange", "symbol"]
# What the venue says, and what every sync writes anew. When an instrument was first seen stays.
LISTED = [
    "base_asset",
    "quote_asset",
    "status",
    "contract_type",
    "exchange_form",
    "tick_size",
    "lot_size",
    "price_precision",
    "quantity_precision",
]
WRITTEN = [*LISTED, "is_active", "last_seen_ms"]
TICKER = ["last_price", "volume_24h", "volume_at_ms"]
DELISTED = "DELISTED"  # our word: the venue says nothing any more
INSTRUMENTS_SCOPE = "instruments"  # of the cache: what depends on this table


@dataclass(frozen=True, slots=True)
class SyncResult:
    """How many instruments the venue lists, and how many of them are new, changed, and no longer listed since."""

    listed: int
    added: int
    changed: int
    delisted: int


def instruments_sync() -> SyncResult:
    """Bring the table to what Binance lists now, figures of the last 24 hours included if they can be had.

    Safe to run twice. Raises `LiquiError`, and then writes nothing.
    """
    result = instruments_list()
    if settings.LIQUI_FEED in COLLECTING_FEEDS:
        try:
            tickers_sync()
        except LiquiError as error:
            logger.warning("24h volumes are not known", error=str(error))
    return result


def instruments_list() -> SyncResult:
    """As `instruments_sync`, without the figures: they take the venue longer than who looks up a symbol should wait."""
    return instruments_store(VENUE, venue().instruments(), clock_ms())


def tickers_sync() -> int:
    """Write every instrument's last price and 24h volume; how many. Raises `LiquiError`, and then writes nothing."""
    known = set(InstrumentRow.objects.filter(exchange=VENUE).values_list("symbol", flat=True))
    tickers = {ticker.symbol: ticker for ticker in venue().tickers() if ticker.symbol in known}
    now_ms = clock_ms()
    tickers_store(
        [
            InstrumentRow(
                symbol=ticker.symbol,
                exchange=VENUE,
                is_active=True,
                last_price=ticker.last_price,
                volume_24h=ticker.quote_volume,
                volume_at_ms=now_ms,
            )
            for ticker in tickers.values()
        ]
    )
    instruments_changed()
    return len(tickers)


@retry_when_busy
def tickers_store(rows: Sequence[InstrumentRow]) -> None:
    # A sync of instruments that runs at the same time may lock the same rows in another order.
    upsert(rows, TICKER)


def instrument_note(venue: str, symbol: str, prices: Iterable[Decimal]) -> None:
    """A symbol of which data are stored can be looked up, also before the venue has listed it.

    Its price step is as fine as the finest of all prices that were noted, until the venue says another. What a row of
    the user's own says of it, or does not say, stays.
    """
    most = InstrumentRow.tick_size.field.decimal_places
    places = min(max((decimal_places(price) for price in prices), default=0), most)
    step = {"tick_size": Decimal(1).scaleb(-places), "price_precision": places}
    if instrument_add(venue, symbol, **step):
        return
    noted = Q(last_seen_ms=None, price_precision__lt=places)
    for row in InstrumentRow.objects.filter(noted, exchange=venue, symbol=symbol):
        if row.tick_size == Decimal(1).scaleb(-(row.price_precision or 0)):
            InstrumentRow.objects.filter(pk=row.pk).update(**step)
            instruments_changed()


def instrument_add(venue: str, symbol: str, **known: Any) -> bool:
    """Whether it was not there; ``known`` are columns of it, all others are as in a plain INSERT."""
    _, is_new = InstrumentRow.objects.get_or_create(exchange=venue, symbol=symbol, defaults=known)
    if is_new:
        instruments_changed()
    return is_new


def instruments_switch(ids: Sequence[int], *, is_active: bool) -> list[str]:
    """Enable or disable; the symbols of those that were not so before."""
    rows = InstrumentRow.objects.filter(pk__in=ids).exclude(is_active=is_active)
    symbols = sorted(rows.values_list("symbol", flat=True))
    rows.update(is_active=is_active)
    instruments_changed()
    return symbols


def instruments_changed() -> None:
    """Outdate, once it is committed, what is shown of the table."""
    changed({INSTRUMENTS_SCOPE: None})


def upsert(rows: Sequence[InstrumentRow], columns: Sequence[str]) -> None:
    # SQLite requires the conflict target and MySQL refuses one.
    target = KEY if connection.features.supports_update_conflicts_with_target else None
    InstrumentRow.objects.bulk_create(rows, update_conflicts=True, update_fields=columns, unique_fields=target)


@retry_when_busy
@transaction.atomic
def instruments_store(venue: str, listed: Sequence[Instrument], now_ms: int) -> SyncResult:
    """Store all instruments that a venue lists. Those that it does not list any more stay, inactive."""
    switches_note(venue)
    known = {row.symbol: row for row in readable(InstrumentRow.objects.filter(exchange=venue))}
    rows = [listed_row(instrument, known.get(instrument.symbol), now_ms) for instrument in listed]
    upsert(rows, WRITTEN)
    instruments_changed()
    # What the venue has never listed it cannot delist.
    gone = {symbol for symbol, row in known.items() if row.last_seen_ms is not None} - {row.symbol for row in rows}
    delisted = InstrumentRow.objects.filter(exchange=venue, symbol__in=gone).exclude(status=DELISTED)
    return SyncResult(
        listed=len(rows),
        added=sum(row.symbol not in known for row in rows),
        changed=sum(row.symbol in known and differs(row, known[row.symbol]) for row in rows),
        delisted=delisted.update(status=DELISTED, is_active=False),
    )


def listed_row(instrument: Instrument, known: InstrumentRow | None, now_ms: int) -> InstrumentRow:
    return InstrumentRow(
        symbol=instrument.symbol,
        exchange=instrument.venue,
        asset_type="CRYPTO",
        base_asset=instrument.base_asset,
        quote_asset=instrument.quote_asset,
        status=instrument.status,
        contract_type=instrument.contract_type,
        exchange_form=instrument.exchange_form,
        tick_size=instrument.tick_size,
        lot_size=instrument.lot_size,
        price_precision=instrument.price_precision,
        quantity_precision=instrument.quantity_precision,
        is_active=instrument.is_active and not (known is not None and known.is_switched_off),
        first_seen_ms=now_ms,
        last_seen_ms=now_ms,
    )


def switches_note(venue: str) -> None:
    """Remember what the user has switched off and on since: what the venue trades is inactive by the user alone."""
    rows = InstrumentRow.objects.filter(exchange=venue)
    rows.filter(is_active=False, is_switched_off=False, status__in=["", TRADING]).update(is_switched_off=True)
    rows.filter(is_active=True, is_switched_off=True).update(is_switched_off=False)


def differs(row: InstrumentRow, known: InstrumentRow) -> bool:
    return any(getattr(row, name) != getattr(known, name) for name in [*LISTED, "is_active"])
