"""Zero rows for buckets in which nothing was liquidated. No Django."""

from collections.abc import Sequence
from decimal import Decimal

from liquidations.types import Anchor, Bucket

SIDES = ("buy", "sell")
ZERO = Decimal(0)


def filled_with_zeros(
    buckets: Sequence[Bucket], timeframe_ms: int, start_ms: int, end_ms: int, anchor: Anchor
) -> list[Bucket]:
    """Every bucket of [start_ms, end_ms] with both sides, in order; the caller bounds how many there are."""
    known = {(opened_ms, side): notional for opened_ms, side, notional in buckets}
    first_ms = start_ms if anchor == "start" else start_ms - start_ms % timeframe_ms
    every = {(opened, side) for opened in range(first_ms, end_ms + 1, timeframe_ms) for side in SIDES}
    return [(*key, known.get(key, ZERO)) for key in sorted(every | known.keys())]
