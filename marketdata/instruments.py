"""Reads of the table of instruments. Who looks a symbol up for a client asks `marketdata.symbols.service`."""

from marketdata.models import InstrumentRow
from marketdata.types import Instrument


def instrument_find(symbol: str) -> Instrument | None:
    """The instrument of exactly this symbol (case matters), delisted ones included: they have a history."""
    # By id: the venue that was known first answers for a name that several have.
    row = InstrumentRow.objects.filter(symbol=symbol).order_by("id").first()
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
    for row in InstrumentRow.objects.order_by("id"):
        rows.setdefault(row.symbol, row)
    return list(rows.values())
