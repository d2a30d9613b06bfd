"""Marks on a chart's bars: other apps register where they come from, and here they become UDF's table. No Django."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from math import log2
from typing import Any

from msgspec import Struct

from marketdata.timeframes import candle_open_ms
from marketdata.types import Instrument

MAX_MARKS = 500  # in an answer; a chart draws them all
MAX_MARKS_PER_BAR = 10  # that a chart shows
MIN_SIZE, MAX_SIZE = 14, 40  # pixels
PIXELS_PER_DOUBLING = 4
FONT_COLOR = "white"


class Mark(Struct, frozen=True, kw_only=True):
    """One event. ``id`` stays the same from answer to answer; ``weight`` says how important it is, above 0."""

    id: str
    time_ms: int
    weight: Decimal
    color: str  # red, green, blue, yellow
    label: str  # of which charts show the first letter
    text: str


# From an instrument, first and last ms (both included) and a number: so many marks at the most, the weightiest ones.
MarkSource = Callable[[Instrument, int, int, int], Iterable[Mark]]

sources: list[MarkSource] = []


def marks_register(source: MarkSource) -> None:
    if source not in sources:
        sources.append(source)


def marks_between(instrument: Instrument, start_ms: int, end_ms: int) -> list[Mark]:
    """The weightiest marks of all sources in [start_ms, end_ms]."""
    found = [mark for source in sources for mark in source(instrument, start_ms, end_ms, MAX_MARKS)]
    return sorted(found, key=lambda mark: -mark.weight)[:MAX_MARKS]


def marks_table(marks: Sequence[Mark], timeframe: str, least: int) -> dict[str, list[Any]]:
    """UDF's answer in ascending time. A mark's time is that of its bar, or charts would not show it; of one bar's marks
    the weightiest are kept. The weight ``least`` has the smallest size."""
    by_bar: dict[int, list[Mark]] = defaultdict(list)
    for mark in sorted(marks, key=lambda mark: -mark.weight):
        bar = by_bar[candle_open_ms(timeframe, mark.time_ms)]
        if len(bar) < MAX_MARKS_PER_BAR:
            bar.append(mark)
    shown = [(open_ms, mark) for open_ms, bar in sorted(by_bar.items()) for mark in bar]
    return {
        "id": [mark.id for _, mark in shown],
        "time": [open_ms // 1000 for open_ms, _ in shown],
        "color": [mark.color for _, mark in shown],
        "text": [mark.text for _, mark in shown],
        "label": [mark.label for _, mark in shown],
        "labelFontColor": [FONT_COLOR for _ in shown],
        "minSize": [mark_size(mark.weight, least) for _, mark in shown],
    }


def mark_size(weight: Decimal, least: int) -> int:
    doublings = log2(max(weight / max(least, 1), 1))
    return min(round(MIN_SIZE + PIXELS_PER_DOUBLING * doublings), MAX_SIZE)
