"""Where a snapshot and the live orders are joined: no gap, nothing twice. No Django, no I/O."""

from collections import Counter
from collections.abc import Callable, Iterable

import msgspec

from streams.messages import OrderData
from streams.types import LiveOrder

Sighting = tuple[int, str, str, str]  # time, side, quantity, average price: what a client sees of an order's identity


class DataOnly(msgspec.Struct):
    data: OrderData


decode_frame = msgspec.json.Decoder(DataOnly).decode


def sighting(data: OrderData) -> Sighting:
    return data.timestamp, data.side, data.quantity, data.avg_price


class Tail:
    """Live orders for one taker: kept until `open` says what its snapshot holds, then handed on.

    ``overflow`` is called when more than ``limit`` are kept.
    """

    def __init__(self, hand_on: Callable[[LiveOrder], None], limit: int, overflow: Callable[[], None]) -> None:
        self.hand_on, self.limit, self.overflow = hand_on, limit, overflow
        self.kept: list[LiveOrder] | None = []
        self.head = 0
        self.is_past = False  # orders with higher numbers than the snapshot's come, and none with lower ones
        # Sent already, though without a number: stored by another program, or not stored yet when it was sent.
        self.seen: Counter[Sighting] = Counter()
        self.seen_times: set[int] = set()

    def open(self, head: int, shown: Iterable[OrderData] = ()) -> None:
        """The taker knows everything up to ``head``, and ``shown`` in any case."""
        for data in shown:
            self.remember(data)
        kept, self.kept, self.head = self.kept or [], None, head
        for order in kept:
            self.take(order)

    def take(self, order: LiveOrder) -> None:
        if self.kept is not None:
            self.kept.append(order)
            if len(self.kept) > self.limit:
                self.kept.clear()
                self.overflow()
        elif order.sequence is None:
            self.hand_on(order)
        elif order.sequence > self.head:
            self.is_past = True
            self.hand_on(order)

    def remember(self, data: OrderData) -> None:
        self.seen[sighting(data)] += 1
        self.seen_times.add(data.timestamp)

    def is_new(self, order: LiveOrder) -> bool:
        """Whether the taker has not been shown this order under no number; each such sighting excuses one order."""
        data = decode_frame(order.text).data if order.sequence is None or order.event_ms in self.seen_times else None
        if data is None:
            return True
        is_known = self.seen[sighting(data)] > 0
        if order.sequence is None:
            if not is_known:
                self.remember(data)
        elif is_known:
            self.seen[sighting(data)] -= 1
        return not is_known
