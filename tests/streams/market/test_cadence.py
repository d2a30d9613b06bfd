"""Frames keep a pace, and what comes late does not delay what comes after it."""

from collections.abc import Iterable, Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.market.cadence import Cadence

INTERVAL_S = 0.1
ROUNDING_S = 1e-9


def shown(updates: Iterable[float]) -> list[tuple[float, float]]:
    """For each frame when it is sent, and for how long its oldest update has waited."""
    cadence, frames, waiting_s = Cadence(INTERVAL_S), [], None
    due_s = 0.0

    def send() -> None:
        cadence.sent(due_s)
        frames.append((due_s, due_s - waiting_s))

    for update_s in updates:
        if waiting_s is not None and due_s <= update_s:
            send()
            waiting_s = None
        if waiting_s is None:
            waiting_s, due_s = update_s, update_s + cadence.wait_s(update_s)
    if waiting_s is not None:
        send()
    return frames


def regular(count: int, interval_s: float = INTERVAL_S, late: dict[int, float] | None = None) -> list[float]:
    """Updates of an exchange, some of them late by as much; those behind them come no earlier than they."""
    late, last_s, updates = late or {}, 0.0, []
    for number in range(count):
        last_s = max(last_s, number * interval_s + late.get(number, 0.0))
        updates.append(last_s)
    return updates


def waits(updates: Sequence[float]) -> list[float]:
    return [wait_s for _, wait_s in shown(updates)]


@given(st.lists(st.floats(0, 0.5), min_size=1, max_size=100))
def test_never_more_than_ten_a_second_and_one_early(pauses: list[float]) -> None:
    updates = [sum(pauses[: number + 1]) for number in range(len(pauses))]
    moments = [moment_s for moment_s, _ in shown(updates)]
    for first, first_s in enumerate(moments):
        for last in range(first, len(moments)):
            assert (last - first - 1) * INTERVAL_S <= moments[last] - first_s + ROUNDING_S


@given(st.lists(st.floats(0, 0.5), min_size=1, max_size=100))
def test_nothing_waits_for_more_than_an_interval_and_a_half(pauses: list[float]) -> None:
    updates = [sum(pauses[: number + 1]) for number in range(len(pauses))]
    assert max(waits(updates)) <= 1.5 * INTERVAL_S + ROUNDING_S


@given(st.dictionaries(st.integers(1, 50), st.floats(0, 0.099)))
def test_whatever_came_late_regular_updates_are_shown_at_once(late: dict[int, float]) -> None:
    assert waits(regular(100, late=late))[-40:] == pytest.approx([0] * 40, abs=ROUNDING_S)


@pytest.mark.parametrize("stall_s", [0.15, 0.25, 1.0])
def test_nor_does_a_stall_delay_what_comes_after_it(stall_s: float) -> None:
    """Several updates come at once then: one frame shows them."""
    assert waits(regular(100, late={20: stall_s}))[-40:] == pytest.approx([0] * 40, abs=ROUNDING_S)


@pytest.mark.parametrize("interval_s", [0.0999, 0.09995])
def test_a_faster_clock_costs_a_frame_now_and_then(interval_s: float) -> None:
    found = waits(regular(10_000, interval_s))
    drift = 1 - interval_s / INTERVAL_S
    assert sum(wait_s > ROUNDING_S for wait_s in found) <= 10_000 * drift + 1


def test_updates_that_come_much_faster_are_shown_evenly() -> None:
    moments = [moment_s for moment_s, _ in shown(regular(500, 0.01))]
    pauses = [after - before for before, after in pairwise(moments[1:])]
    assert pauses[1:] == pytest.approx([INTERVAL_S] * len(pauses[1:]), abs=ROUNDING_S)
