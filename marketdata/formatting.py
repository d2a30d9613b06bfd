"""Numbers and times as terminals show them.

Rounding goes through a float, so that every text is what the terminal's own server gave (1015 is "1.01K" there, which
exact decimals would round to "1.02K"). Only what is shown passes here; sums and stored values stay decimals.
"""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from math import floor, log10

from msgspec import Struct

from marketdata.types import Instrument

MIN_AMOUNT_DECIMALS = 2
MAX_AMOUNT_DECIMALS = 8
MAX_DECIMALS_OF_TICK = 6  # where the price step has to stand in for an unknown quantity step
PRICE_DECIMALS = 2  # of an instrument without a price step
MAX_PRICE_DECIMALS = 8  # that charts are told of
TINY = 1e-5  # below, a plain number would show zeros only
ZERO = "0.00"

ROUNDINGS = 7  # that are offered at most
SMALLEST_SHARE = 10  # the largest rounding is at most this part of the price
LARGEST_ROUNDING = Decimal(1000)  # while the price is not known
DEFAULT_ROUNDING = Decimal("0.01")  # where no rounding can be offered

Format = Callable[[float], str]
Number = Decimal | float


class PriceFormat(Struct, frozen=True, rename="camel"):
    """How charts are to show prices: with ``precision`` decimals, in steps of ``min_move``."""

    type: str
    precision: int
    min_move: float


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


def price_decimals(instrument: Instrument | None) -> int | None:
    """Decimal places of an instrument's prices; None where neither it nor its price step is known."""
    if instrument is None:
        return None
    if instrument.price_precision is None and instrument.tick_size:
        return decimal_places(instrument.tick_size)
    return instrument.price_precision


def price_format(instrument: Instrument | None) -> PriceFormat:
    decimals = price_decimals(instrument)
    precision = PRICE_DECIMALS if decimals is None else min(max(decimals, 0), MAX_PRICE_DECIMALS)
    return PriceFormat("price", precision, float(Decimal(1).scaleb(-precision)))


def rounding_options(decimals: int | None, price: Number | None) -> list[Decimal]:
    """The roundings of an order book that are offered: powers of ten from the price step's on, up to a tenth of the
    price.
    """
    if decimals is None:
        return []
    largest = Decimal(price) / SMALLEST_SHARE if price else LARGEST_ROUNDING
    options = (Decimal(1).scaleb(power - decimals) for power in range(ROUNDINGS))
    return [option for option in options if option <= largest]


def default_rounding(options: Sequence[Decimal]) -> Decimal:
    """The third of them, else the last."""
    return options[min(len(options), 3) - 1] if options else DEFAULT_ROUNDING


def format_price(price: Number | None, instrument: Instrument | None = None, rounding: Number | None = None) -> str:
    """A price without separators and units: 50000.1; 1.00e-06; with a rounding of 1, 50000; "0.00" for none."""
    return price_formatter(instrument, rounding)(0.0 if price is None else float(price))


def price_formatter(instrument: Instrument | None = None, rounding: Number | None = None) -> Format:
    """`format_price` for many prices of one instrument and rounding; it is called 120 times a frame of a book."""
    if rounding:
        step = float(rounding)
        return coarse_formatter(step) if step >= 1 else fine_formatter(rounded_decimals(step), smallest_shown(step))
    decimals = price_decimals(instrument)
    return fine_formatter(PRICE_DECIMALS if decimals is None else decimals, TINY)


def rounded_decimals(rounding: float) -> int:
    """Decimal places of prices that are rounded to less than 1."""
    if rounding >= 0.1:
        return 1
    return max(2, -floor(log10(rounding)))


def smallest_shown(rounding: float) -> float:
    """Smaller prices are written with an exponent. With a rounding below 0.0001, only what it rounds to nothing."""
    return TINY if rounding >= 1e-4 else min(TINY, rounding / 2)


def fine_formatter(decimals: int, smallest: float) -> Format:
    plain = f"%.{decimals}f"

    def fine(price: float) -> str:
        if -smallest < price < smallest:
            return f"{price:.2e}" if price else ZERO
        # What is no number, or endless, is no price.
        return ZERO if price - price else plain % price

    return fine


def coarse_formatter(rounding: float) -> Format:
    fraction = "%.0f" if rounding >= 10 else "%.1f"

    def coarse(price: float) -> str:
        if -TINY < price < TINY:
            return f"{price:.2e}" if price else ZERO
        if price - price:
            return ZERO
        return f"{price:.0f}" if price % 1 == 0 else fraction % price

    return coarse


def format_amount(amount: Number, decimals: int = MIN_AMOUNT_DECIMALS) -> str:
    """A quantity in base asset, not negative: 0.500 (3 decimals), 1.50K, 2.00M, 1.00e-06."""
    return decimals_formatter(decimals)(float(amount))


def amount_formatter(instrument: Instrument | None = None) -> Format:
    """`format_amount` for many quantities of one instrument."""
    return decimals_formatter(amount_decimals(instrument))


def decimals_formatter(decimals: int) -> Format:
    plain = f"%.{decimals}f"

    def amount(value: float) -> str:
        if TINY <= value < 1e3:
            return plain % value
        return unusual(value)

    return amount


def format_total(total: Number) -> str:
    """A sum in quote asset, not negative: 12.35, 1.50K, 2500.00M (there is no unit above M)."""
    value = float(total)
    if 0.01 <= value < 1e3:
        return f"{value:.2f}"
    return f"{value:.4f}" if TINY <= value < 0.01 else unusual(value)


def unusual(value: float) -> str:
    """What is too large for a plain number, or too small. The unit goes by the value before rounding, so 999 999 is
    1000.00K.
    """
    if value - value:
        return ZERO
    if value >= 1e6:
        return f"{value / 1e6:.2f}M"
    if value >= 1e3:
        return f"{value / 1e3:.2f}K"
    return f"{value:.2e}" if value < TINY and value else ZERO


def format_volume24h(volume: Number | None) -> str:
    """The quote volume of a day, which has a unit above M, too: 12.59B; nothing for none."""
    value = float(volume or 0)
    if not value or value - value:
        return ""
    for unit, name in ((1e9, "B"), (1e6, "M"), (1e3, "K")):
        if value >= unit:
            return f"{value / unit:.2f}{name}"
    return f"{value:.2f}"


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
