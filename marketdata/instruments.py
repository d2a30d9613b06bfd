"""Reads of the table of instruments: is there such a symbol, and which one may have been meant."""

from marketdata.models import InstrumentRow
from marketdata.suggestions import not_found_text, suggest
from marketdata.types import Instrument


def instrument_find(symbol: str) -> Instrument | None:
    """The instrument of exactly this symbol (case matters), delisted ones included: they have a history."""
    # By id: the venue that was known first answers for a name that several have.
    row = InstrumentRow.objects.filter(symbol=symbol).order_by("id").first()
    # MySQL takes "BTCUSDT " for the same name.
    return row.to_instrument() if row and row.symbol == symbol else None


def symbol_suggestions(text: str) -> list[str]:
    """Up to three active symbols that may have been meant by ``text``, the likeliest first."""
    return suggest(
        text, list(InstrumentRow.objects.filter(is_active=True).order_by("id").values_list("symbol", flat=True))
    )


def symbol_not_found(text: str) -> str:
    """Symbol X not found. Did you mean: A, B, C?"""
    return not_found_text(text, symbol_suggestions(text))
