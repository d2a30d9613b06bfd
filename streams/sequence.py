"""Puts live orders into the order of their numbers and finds what is missing. No Django, no clock."""

from collections import OrderedDict
from collections.abc import Iterable

from streams.types import LiveOrder

REMEMBERED = 10_000  # frames without a number, of which each collector sends its own copy


class Sequence:
    """``head`` is the number of the newest order that was handed on, None before the first is known.

    Orders without a number are handed on as they come. One whose predecessor has not come yet waits, until that comes
    or is read from the outbox (`fill`).
    """

    def __init__(self) -> None:
        self.head: int | None = None
        self.waiting: dict[int, LiveOrder] = {}
        self.unnumbered: OrderedDict[str, None] = OrderedDict()

    @property
    def has_hole(self) -> bool:
        return bool(self.waiting)

    def accept(self, orders: Iterable[LiveOrder]) -> list[LiveOrder]:
        """What can be handed on now that these have come, in order; none twice."""
        ready: list[LiveOrder] = []
        for order in orders:
            if order.sequence is None:
                if self.is_new(order.text):
                    ready.append(order)
                continue
            if self.head is None:
                self.head = order.sequence - 1
            if order.sequence > self.head:
                self.waiting[order.sequence] = order
                ready += self.following()
        return ready

    def is_new(self, text: str) -> bool:
        """Whether this frame without a number has not been handed on before: two collectors see the same orders."""
        if text in self.unnumbered:
            return False
        self.unnumbered[text] = None
        if len(self.unnumbered) > REMEMBERED:
            self.unnumbered.popitem(last=False)
        return True

    def fill(self, orders: Iterable[LiveOrder]) -> list[LiveOrder]:
        """The same for orders read from the outbox: all that there are after ``head``, so their holes are final."""
        ready: list[LiveOrder] = []
        for order in orders:
            if order.sequence is not None and order.sequence > (self.head or 0):
                self.head = order.sequence
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
            ready.append(order)
        return ready
