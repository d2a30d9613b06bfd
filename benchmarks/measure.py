"""Times in alternation, their medians, and what makes a row of the table."""

import json
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from typing import Any, Literal

from benchmarks.server import BenchmarkFailed

LEAST_REPEATS = 3
Unit = Literal["ms", "s", "rows/s", "MiB"]
Ask = Callable[[int], bytes]  # the answer to the n-th form of a question, which nobody has asked before


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table: our value, the original's, and what ours must reach."""

    work: str
    unit: Unit
    ours: float
    original: float | None = None
    goal: float | None = None
    amount: float | None = None  # rows of one run, where the value is a rate

    @property
    def is_rate(self) -> bool:
        return self.unit == "rows/s"

    @property
    def ratio(self) -> float | None:
        """How many times better we are."""
        if not self.original or not self.ours:
            return None
        return self.ours / self.original if self.is_rate else self.original / self.ours

    @property
    def is_reached(self) -> bool | None:
        if self.goal is None:
            return None
        return self.ours >= self.goal if self.is_rate else self.ours <= self.goal


def growth(small: Row, large: Row) -> float | None:
    """How many times longer we take on the larger table."""
    if small.is_rate:
        return large.amount / large.ours / (small.amount / small.ours) if small.amount and large.amount else None
    return large.ours / small.ours if small.unit != "MiB" and small.ours else None


def original_growth(small: Row, large: Row) -> float | None:
    """The same of the original, where both runs were whole."""
    return large.original / small.original if small.original and large.original and not small.is_rate else None


def compare(work: str, ours: Ask, original: Ask, *, repeats: int, seconds: float, goal: float | None) -> Row:
    """Medians in ms of both, taken in turns; the original's turns end early once they have taken ``seconds``.

    Raises `BenchmarkFailed` when the answers differ.
    """
    # Form 0 is not counted: connections, prepared pages, and the proof that both answer the same.
    differ(work, ours(0), original(0))
    our_times: list[float] = []
    original_times: list[float] = []
    for number in range(1, repeats + 1):
        is_patient = len(original_times) < LEAST_REPEATS or sum(original_times) < seconds
        turns = [(ours, our_times), *([(original, original_times)] if is_patient else [])]
        for ask, times in turns if number % 2 else reversed(turns):
            times.append(seconds_of(ask, number))
    return Row(work, "ms", median(our_times) * 1000, median(original_times) * 1000, goal)


def seconds_of(ask: Ask, number: int) -> float:
    began = time.perf_counter()
    ask(number)
    return time.perf_counter() - began


def differ(work: str, ours: bytes, original: bytes) -> None:
    if not alike(essence(json.loads(ours)), essence(json.loads(original))):
        raise BenchmarkFailed(f"{work}: the answers differ\nours:     {ours[:500]!r}\noriginal: {original[:500]!r}")


def essence(body: Any) -> Any:
    """What must be the same: sums by bucket and side; of orders the times, since equal times have no order there."""
    items = body["data"] if isinstance(body, dict) else body
    if items and isinstance(items[0], str):
        return items
    if items and "order_trade_time" in items[0]:
        return [order["order_trade_time"] for order in items]
    return {(bucket["timestamp"], bucket["side"].lower()): bucket["cumulated_usd_size"] for bucket in items}


def alike(ours: Any, original: Any) -> bool:
    if not isinstance(ours, dict):
        return ours == original
    return ours.keys() == original.keys() and all(math.isclose(ours[key], original[key]) for key in ours)
