"""Which symbols may be collected, as operators and SQL say it in the table of instruments."""

from collections.abc import Collection
from dataclasses import dataclass

from marketdata.models import InstrumentRow

NAMED = 10  # symbols in a line of the log


@dataclass(frozen=True, slots=True)
class Listing:
    """Nothing is known of an empty one: then whatever is wanted may be collected."""

    active: frozenset[str] = frozenset()
    inactive: frozenset[str] = frozenset()

    def refusal(self, symbol: str) -> str | None:
        """Why a symbol is not collected; None where it may be."""
        if symbol in self.active or not (self.active or self.inactive):
            return None
        return f"{symbol} is disabled" if symbol in self.inactive else f"{symbol} is not known"

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
    for symbol, is_active in InstrumentRow.objects.values_list("symbol", "is_active"):
        (active if is_active else inactive).add(symbol)
    return Listing(frozenset(active), frozenset(inactive - active))
