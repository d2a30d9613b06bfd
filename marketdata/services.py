"""Writes of the table of instruments."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

from django.conf import settings
from django.db import connection, transaction

from marketdata.errors import FeedMismatch
from marketdata.models import InstrumentRow
from marketdata.types import Instrument
from marketdata.venues.binance import VENUE
from marketdata.venues.binance.rest import BinanceREST

KEY = ["exchange", "symbol"]
# What the venue says, and what every sync writes anew. When an instrument was first seen stays.
LISTED = ["base_asset", "quote_asset", "status", "contract_type", "tick_size", "lot_size"]
WRITTEN = [*LISTED, "is_active", "last_seen_ms"]
DELISTED = "DELISTED"  # our word: the venue says nothing any more
REAL_FEEDS = ("none", "live")


@dataclass(frozen=True, slots=True)
class SyncResult:
    """How many instruments the venue lists, and how many of them are new, changed, and no longer listed since."""

    listed: int
    added: int
    changed: int
    delisted: int


def instruments_sync() -> SyncResult:
    """Bring the table to what Binance lists now. Safe to run twice. Raises `LiquiError`, and then writes nothing."""
    with BinanceREST(settings.BINANCE_API_BASE_URL) as rest:
        listed = rest.instruments()
        check_feed(rest)
    return instruments_store(VENUE, listed, time.time_ns() // 1_000_000)


def check_feed(rest: BinanceREST) -> None:
    if rest.is_simulated and settings.LIQUI_FEED in REAL_FEEDS:
        raise FeedMismatch(
            f"{rest.host} is a simulated exchange and FEED={settings.LIQUI_FEED} keeps real data: nothing was written. "
            "Set FEED=simulated, or BINANCE_API_BASE_URL to the exchange itself."
        )


@transaction.atomic
def instruments_store(venue: str, listed: Sequence[Instrument], now_ms: int) -> SyncResult:
    """Store all instruments that a venue lists. Those that it does not list any more stay, inactive."""
    known = {row.symbol: row for row in InstrumentRow.objects.filter(exchange=venue)}
    rows = [listed_row(instrument, known.get(instrument.symbol), now_ms) for instrument in listed]
    # SQLite requires the conflict target and MySQL refuses one.
    target = KEY if connection.features.supports_update_conflicts_with_target else None
    InstrumentRow.objects.bulk_create(rows, update_conflicts=True, update_fields=WRITTEN, unique_fields=target)
    gone = known.keys() - {row.symbol for row in rows}
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
        tick_size=instrument.tick_size,
        lot_size=instrument.lot_size,
        is_active=instrument.is_active and not is_switched_off(known, instrument.status),
        first_seen_ms=now_ms,
        last_seen_ms=now_ms,
    )


def is_switched_off(known: InstrumentRow | None, status: str) -> bool:
    """Whether the user made it inactive: nothing that the venue says has changed since, or it never said anything."""
    return known is not None and not known.is_active and known.status in ("", status)


def differs(row: InstrumentRow, known: InstrumentRow) -> bool:
    return any(getattr(row, name) != getattr(known, name) for name in [*LISTED, "is_active"])
