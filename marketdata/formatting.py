"""Numbers and times as terminals show them.

Rounding goes through a float, so that every text is what the terminal's own server gave (1015 is "1.01K" there, which
exact decimals would round to "1.02K"). Only what is shown passes here; sums and stored values stay decimals.
"""

from datetime import UTC, datetime
from decimal import Decimal

from marketdata.types import Instrument

MIN_AMOUNT_DECIMALS = 2
MAX_AMOUNT_DECIMALS = 8
MAX_DECIMALS_OF_TICK = 6  # where the price step has to stand in for an unknown quantity step
TINY = 1e-5  # below, a plain number would show zeros only


def decimal_places(step: Decimal) -> int:
    """Digits after the point that a price or quantity step needs: 0.010 has 2, 0.25 has 2, 10 has 0."""
    return max(0, -int(step.normalize().as_tuple().exponent))


def amount_decimals(instrument: Instrument | None) -> int:
    """Decimal places of an instrument's quantities, from its quantity step, else its price step, else 2."""
    decimals = MIN_AMOUNT_DECIMALS
    if instrument and instrument.lot_size:
        decimals = min(decimal_places(instrument.lot_size), MAX_AMOUNT_DECIMALS)
    elif instrument and instrument.tick_size:
        decimals = min(decimal_places(instrument.tick_size), MAX_DECIMALS_OF_TICK)
    return max(decimals, MIN_AMOUNT_DECIMALS)


def format_amount(amount: Decimal, decimals: int = MIN_AMOUNT_DECIMALS) -> str:
    """A quantity in base asset, not negative: 0.500 (3 decimals), 1.50K, 2.00M, 1.00e-06."""
    value = float(amount)
    if value == 0:
        return "0.00"
    if value < TINY:
        return f"{value:.2e}"
    return format_thousands(value) or f"{value:.{decimals}f}"


def format_total(total: Decimal) -> str:
    """A sum in quote asset, not negative: 12.35, 1.50K, 2500.00M (there is no unit above M)."""
    value = float(total)
    if value == 0:
        return "0.00"
    if value < TINY:
        return f"{value:.2e}"
    return format_thousands(value) or (f"{value:.4f}" if value < 0.01 else f"{value:.2f}")


def format_thousands(value: float) -> str | None:
    """With its unit from 1000 on; the unit goes by the value before rounding, so 999 999 is 1000.00K."""
    if value >= 1e6:
        return f"{value / 1e6:.2f}M"
    return f"{value / 1e3:.2f}K" if value >= 1e3 else None


def format_liquidation_quantity(quantity: Decimal, instrument: Instrument | None) -> str:
    """The quantity of a forced order; without an instrument to go by, three decimals from 1 on and six below."""
    if instrument is not None:
        return format_amount(quantity, amount_decimals(instrument))
    return f"{float(quantity):.3f}" if quantity >= 1 else f"{float(quantity):.6f}"


def format_notional(notional: Decimal) -> str:
    """A liquidation's worth in whole quote asset with commas: 1,234,568; halves go to the even neighbour."""
    return f"{round(notional):,}"


def format_clock(timestamp_ms: int) -> str:
    """HH:MM:SS in UTC of Unix milliseconds."""
    return datetime.fromtimestamp(timestamp_ms // 1000, UTC).strftime("%H:%M:%S")
