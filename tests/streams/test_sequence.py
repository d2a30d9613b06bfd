"""Live orders in the order of their numbers, whatever order they come in."""

import random

import msgspec

from streams.outbox import live_order
from streams.sequence import Sequence
from streams.types import LiveOrder
from tests.streams.collecting.orders import liquidation


def numbered(number: int | None) -> LiveOrder:
    return LiveOrder(sequence=number, symbol="BTCUSDT", side="SELL", notional=1.0, event_ms=1, text="{}")


def test_orders_that_come_in_any_order_and_twice_are_handed_on_once_in_order() -> None:
    sequence, numbers = Sequence(), [*range(1, 101), *range(1, 101)]
    sequence.restart(0)
    random.Random(7).shuffle(numbers)
    handed_on = [order.sequence for number in numbers for order in sequence.accept([numbered(number)])]
    assert handed_on == list(range(1, 101))
    assert not sequence.has_hole


def test_what_is_read_from_the_outbox_closes_a_hole_and_frees_what_waited() -> None:
    sequence = Sequence()
    sequence.restart(5)
    assert sequence.accept([numbered(8)]) == []
    assert sequence.has_hole
    assert [order.sequence for order in sequence.fill([numbered(6), numbered(7)])] == [6, 7, 8]
    assert sequence.accept([numbered(7), numbered(8)]) == []


def test_orders_without_a_number_are_handed_on_at_once() -> None:
    sequence = Sequence()
    sequence.restart(5)
    assert sequence.accept([numbered(None)]) == [numbered(None)]
    assert sequence.head == 5


def test_of_an_order_that_two_collectors_send_without_a_number_one_copy_is_handed_on() -> None:
    sequence = Sequence()
    sequence.restart(5)
    other = msgspec.structs.replace(numbered(None), text='{"another":1}')
    assert sequence.accept([numbered(None), other, numbered(None)]) == [numbered(None), other]
    assert sequence.accept([numbered(None)]) == []
    assert sequence.accept([numbered(6)]) == [numbered(6)]


def test_a_copy_without_a_number_that_comes_after_the_numbered_one_is_not_handed_on() -> None:
    """A collector that was frozen and goes on sends what another has stored meanwhile."""
    first, second, late = live_order(liquidation(1), 6), live_order(liquidation(2), 7), live_order(liquidation(2), None)
    sequence = Sequence()
    sequence.restart(5)
    assert sequence.accept([first]) == [first]
    assert sequence.fill([second]) == [second]
    assert sequence.accept([late, live_order(liquidation(1), None)]) == []
    assert sequence.accept([live_order(liquidation(3), None)]) == [live_order(liquidation(3), None)]
