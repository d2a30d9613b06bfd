"""Which symbols may be collected, as operators and SQL say it in the table of instruments."""

from collections.abc import Collection
from dataclasses import dataclass

from marketdata.models import InstrumentRow

NAMED = 10  # symbols in a line of the log


@dataclass(frozen=True, slots=True)
class Listing:
    """``is_whole``: the venue's list is in it. Without that, whatever is wanted may be collected if it is not off."""

    active: frozenset[str] = frozenset()
    inactive: frozenset[str] = frozenset()
    is_whole: bool = False

    def refusal(self, symbol: str) -> str | None:
        """Why a symbol is not collected; None where it may be."""
        if symbol in self.inactive:
            return f"{symbol} is disabled"
        return f"{symbol} is not known" if self.is_whole and symbol not in self.active else None

    def changes_since(self, before: "Listing") -> dict[str, str]:
        """What may be collected that might not, and the other way; nothing where ``before`` is a start's empty one."""
        if not before.active:
            return {}
        changes = {"enabled": self.active - before.active, "disabled": before.active - self.active}
        return {name: named(symbols) for name, symbols in changes.items() if symbols}


def named(symbols: Collection[str]) -> str:
    """The first few by name: BTCUSDT, ETHUSDT and 298 more."""
    names = ", ".join(sorted(symbols)[:NAMED])
    return names if len(symbols) <= NAMED else f"{names} and {len(symbols) - NAMED} more"


def listing_read() -> Listing:
    """Raises Django's database errors."""
    active: set[str] = set()
    inactive: set[str] = set()
    is_whole = False
    for symbol, is_active, seen_ms in InstrumentRow.objects.values_list("symbol", "is_active", "last_seen_ms"):
        (active if is_active else inactive).add(symbol)
        is_whole = is_whole or seen_ms is not None
    return Listing(frozenset(active), frozenset(inactive - active), is_whole)
