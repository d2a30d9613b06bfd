"""Prices and quantities as whole numbers of a contract's steps, whose sums are exact; ``cash`` is ticks times lots."""

from dataclasses import dataclass

from streams.simulator.contracts import Contract, digits


def unit(step: str) -> int:
    """A step in units of its last digit: 10 for "0.10", 1 for "0.001"."""
    return int(step.replace(".", ""))


def units(text: str) -> int:
    """ "84000.10" → 8400010. Both texts of a quotient must have equally many decimal places."""
    return int(text.replace(".", ""))


def decimal_text(number: int, places: int) -> str:
    """(8400010, 2) → "84000.10"; not for negative numbers."""
    if not places:
        return str(number)
    whole, part = divmod(number, 10**places)
    return f"{whole}.{part:0{places}d}"


@dataclass(frozen=True, slots=True)
class Steps:
    """The steps of one contract."""

    tick: int  # in units of its last digit
    tick_places: int
    lot: int
    lot_places: int

    @classmethod
    def of(cls, contract: Contract) -> "Steps":
        tick, lot = contract.tick, contract.lot
        return cls(unit(tick), digits(tick), unit(lot), digits(lot))

    def ticks(self, text: str) -> int:
        return units(text) // self.tick

    def lots(self, text: str) -> int:
        return units(text) // self.lot

    def price_ticks(self, price: float) -> int:
        """One at least."""
        return max(round(price * 10**self.tick_places / self.tick), 1)

    def quantity_lots(self, quantity: float) -> int:
        """One at least."""
        return max(round(quantity * 10**self.lot_places / self.lot), 1)

    def price_text(self, ticks: int) -> str:
        return decimal_text(ticks * self.tick, self.tick_places)

    def quantity_text(self, lots: int) -> str:
        return decimal_text(lots * self.lot, self.lot_places)

    def cash_text(self, cash: int) -> str:
        return decimal_text(cash * self.tick * self.lot, self.tick_places + self.lot_places)

    def price(self, ticks: float) -> float:
        return ticks * self.tick / 10**self.tick_places
