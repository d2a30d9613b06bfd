"""Volume buckets, compared with arithmetic of another kind: whole dates and fractions, one bucket at a time."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from liquidations.volume import TIMEFRAMES_MS, volume_buckets, volume_sums

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MINUTES = {"1m": 1, "5m": 5, "15m": 15, "30m": 30, "1h": 60, "4h": 240, "1d": 1440}
amounts = st.decimals("0.01", "99999", places=2)
orders = st.lists(
    st.tuples(st.integers(1_700_000_000_000, 1_700_090_000_000), st.sampled_from(["BUY", "sell"]), amounts), max_size=30
)


@pytest.mark.contract("D083")
@pytest.mark.contract("D084")
@pytest.mark.contract("D085")
@given(orders=orders, timeframe=st.sampled_from(list(TIMEFRAMES_MS)))
def test_buckets_are_what_each_one_by_itself_adds_up_to(orders: list[tuple[int, str, Decimal]], timeframe: str) -> None:
    rows = [(at, side, notional, 1) for at, side, notional in orders]
    buckets = volume_buckets(volume_sums(rows, TIMEFRAMES_MS[timeframe]), TIMEFRAMES_MS[timeframe])
    length = timedelta(minutes=MINUTES[timeframe])
    assert sum(bucket.count for bucket in buckets) == len(orders)
    for before, after in pairwise(buckets):
        assert after.time - before.time == length.total_seconds()
    for bucket in buckets:
        opened = EPOCH + timedelta(seconds=bucket.time)
        assert (opened - EPOCH) % length == timedelta(0)
        inside = [each for each in orders if opened <= EPOCH + timedelta(milliseconds=each[0]) < opened + length]
        buy, sell = (
            sum((Fraction(notional) for _, side, notional in inside if side.lower() == name), Fraction(0))
            for name in ("buy", "sell")
        )
        shown = [bucket.buy_volume, bucket.sell_volume, bucket.total_volume, bucket.delta_volume]
        assert shown == [str(float(value)) for value in (buy, sell, buy + sell, buy - sell)]
        assert (bucket.count, bucket.timestamp_ms) == (len(inside), bucket.time * 1000)
        assert not bucket.delta_volume_formatted.startswith("-")
    if buckets:
        assert buckets[0].count
        assert buckets[-1].count
