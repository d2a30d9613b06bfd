"""Puts live orders into the order of their numbers and finds what is missing. No Django, no clock."""

from collections import OrderedDict
from collections.abc import Iterable

from streams.types import LiveOrder

REMEMBERED = 10_000  # frames that were handed on, of which a collector may send another copy without a number
NUMBERS = ',"sequence":'  # begins the part of a frame in which copies of an order differ


class Sequence:
    """``head`` is the number of the newest order that was handed on, None before the first is known.

    Orders without a number are handed on as they come. One whose predecessor has not come yet waits, until that comes
    or is read from the outbox (`fill`).
    """

    def __init__(self) -> None:
        self.head: int | None = None
        self.waiting: dict[int, LiveOrder] = {}
        self.handed_on: OrderedDict[str, None] = OrderedDict()

    @property
    def has_hole(self) -> bool:
        return bool(self.waiting)

    def accept(self, orders: Iterable[LiveOrder]) -> list[LiveOrder]:
        """What can be handed on now that these have come, in order; none twice."""
        ready: list[LiveOrder] = []
        for order in orders:
            if order.sequence is None:
                if self.remember(order):
                    ready.append(order)
                continue
            if self.head is None:
                self.head = order.sequence - 1
            if order.sequence > self.head:
                self.waiting[order.sequence] = order
                ready += self.following()
        return ready

    def remember(self, order: LiveOrder) -> bool:
        """Whether this order had not been handed on before, with or without a number.

        Two collectors see the same orders, and one that was frozen sends what has long been read from the outbox.
        """
        unnumbered = order.text.rpartition(NUMBERS)[0] or order.text
        if unnumbered in self.handed_on:
            return False
        self.handed_on[unnumbered] = None
        if len(self.handed_on) > REMEMBERED:
            self.handed_on.popitem(last=False)
        return True

    def fill(self, orders: Iterable[LiveOrder]) -> list[LiveOrder]:
        """The same for orders read from the outbox: all that there are after ``head``, so their holes are final."""
        ready: list[LiveOrder] = []
        for order in orders:
            if order.sequence is not None and order.sequence > (self.head or 0):
                self.head = order.sequence
                self.remember(order)
                ready.append(order)
        self.waiting = {number: order for number, order in self.waiting.items() if number > (self.head or 0)}
        return ready + self.following()

    def reach(self, head: int) -> list[LiveOrder]:
        """Everything up to ``head`` that can still be had was handed on."""
        if self.head is None or self.head < head:
            self.head = head
        return self.following()

    def restart(self, head: int) -> None:
        """The numbers go on from ``head``, whatever they were."""
        self.head = head
        self.waiting.clear()

    def following(self) -> list[LiveOrder]:
        ready: list[LiveOrder] = []
        while self.head is not None and (order := self.waiting.pop(self.head + 1, None)) is not None:
            self.head += 1
            self.remember(order)
            ready.append(order)
        return ready
