"""Reads of the table of instruments. Who looks a symbol up for a client asks `marketdata.symbols.service`."""

from collections.abc import Iterator

import structlog
from django.db.models import QuerySet

from marketdata.models import InstrumentRow
from marketdata.types import Instrument

logger = structlog.get_logger(__name__)

# SQLite stores any text as a number, and it is found out here.
UNREADABLE = (TypeError, ValueError, ArithmeticError)


def instrument_find(symbol: str) -> Instrument | None:
    """The instrument of exactly this symbol (case matters), delisted ones included: they have a history."""
    # By id: the venue that was known first answers for a name that several have.
    row = next(readable(InstrumentRow.objects.filter(symbol=symbol).order_by("id")[:1]), None)
    # MySQL takes "BTCUSDT " for the same name.
    return row.to_instrument() if row and row.symbol == symbol else None


def instruments_exist() -> bool:
    return InstrumentRow.objects.exists()


def instruments_listed() -> bool:
    """Whether a venue has ever been asked for its list: a row of the user's own, or an import's, is none."""
    return InstrumentRow.objects.exclude(last_seen_ms=None).exists()


def instruments_rows() -> list[InstrumentRow]:
    """Every symbol once, in the order in which they became known."""
    rows: dict[str, InstrumentRow] = {}
    for row in readable(InstrumentRow.objects.order_by("id")):
        rows.setdefault(row.symbol, row)
    return list(rows.values())


def readable(rows: QuerySet[InstrumentRow]) -> Iterator[InstrumentRow]:
    """One by one where they cannot be read together; those with what is no number are named and left out."""
    try:
        yield from list(rows)
    except UNREADABLE:
        for key, symbol in rows.values_list("pk", "symbol"):
            try:
                yield InstrumentRow.objects.get(pk=key)
            except UNREADABLE as error:
                logger.error(f"{symbol} in the table symbols has a number that is none, and is left out: {error}")
            except InstrumentRow.DoesNotExist:
                continue
