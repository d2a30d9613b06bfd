"""Liquidation volume per bucket as charts show it: epoch-anchored, without gaps. No Django."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal

import msgspec

from liquidations.domain import DAY_MS, HOUR_MS, MINUTE_MS, floor_ms
from marketdata.formatting import format_total

TIMEFRAMES_MS = {
    "1m": MINUTE_MS,
    "5m": 5 * MINUTE_MS,
    "15m": 15 * MINUTE_MS,
    "30m": 30 * MINUTE_MS,
    "1h": HOUR_MS,
    "4h": 4 * HOUR_MS,
    "1d": DAY_MS,
}
# How many days may be asked for at once.
MAX_DAYS = {"1m": 1, "5m": 3, "15m": 7, "30m": 14, "1h": 30, "4h": 90, "1d": 365}
BAD_TIMEFRAME = f"Invalid timeframe. Must be one of: {', '.join(TIMEFRAMES_MS)}"


@dataclass(frozen=True, slots=True)
class VolumeSum:
    """What was liquidated in one bucket, in quote asset: ``buy`` closed shorts, ``sell`` closed longs."""

    buy: Decimal = Decimal(0)
    sell: Decimal = Decimal(0)
    count: int = 0

    def plus(self, side: str, notional: Decimal, count: int = 1) -> "VolumeSum":
        """With ``count`` more orders of ``side`` (any case); an order of another side is counted in neither sum."""
        name = side.lower()
        return VolumeSum(
            self.buy + notional if name == "buy" else self.buy,
            self.sell + notional if name == "sell" else self.sell,
            self.count + count,
        )


NOTHING = VolumeSum()
Sums = Mapping[int, VolumeSum]  # by start of the bucket, ms


class VolumeBucket(msgspec.Struct, frozen=True, gc=False):
    """One bucket on the wire, keys in the contract's order; ``time`` is its start in seconds."""

    time: int
    buy_volume: str
    sell_volume: str
    total_volume: str
    delta_volume: str
    buy_volume_formatted: str
    sell_volume_formatted: str
    total_volume_formatted: str
    delta_volume_formatted: str
    count: int
    timestamp_ms: int


def volume_sums(rows: Iterable[tuple[int, str, Decimal, int]], timeframe_ms: int) -> dict[int, VolumeSum]:
    """Adds (time in ms, side, notional, count) rows up per bucket."""
    sums: dict[int, VolumeSum] = {}
    for time_ms, side, notional, count in rows:
        open_ms = floor_ms(time_ms, timeframe_ms)
        sums[open_ms] = sums.get(open_ms, NOTHING).plus(side, notional, count)
    return sums


def volume_buckets(sums: Sums, timeframe_ms: int) -> list[VolumeBucket]:
    """Every bucket from the first that has data to the last, those between without any as zeros, in order."""
    if not sums:
        return []
    times = range(min(sums), max(sums) + 1, timeframe_ms)
    return [volume_bucket(open_ms, sums.get(open_ms, NOTHING)) for open_ms in times]


def volume_bucket(open_ms: int, volume: VolumeSum) -> VolumeBucket:
    total, delta = volume.buy + volume.sell, volume.buy - volume.sell
    return VolumeBucket(
        time=open_ms // 1000,
        buy_volume=float_text(volume.buy),
        sell_volume=float_text(volume.sell),
        total_volume=float_text(total),
        delta_volume=float_text(delta),
        buy_volume_formatted=format_total(volume.buy),
        sell_volume_formatted=format_total(volume.sell),
        total_volume_formatted=format_total(total),
        # The sign is told by delta_volume alone.
        delta_volume_formatted=format_total(abs(delta)),
        count=volume.count,
        timestamp_ms=open_ms,
    )


def float_text(value: Decimal) -> str:
    """As clients know it: 1234.5, 0.0, -2000000.0."""
    return repr(float(value))
