"""What was sent to whom, so that a test can ask what a client should have received."""

from collections import Counter, deque
from itertools import islice

import msgspec

from streams.simulator.kinds import ForceOrderBody

MAX_ORDERS = 1_000_000


class SentOrder(msgspec.Struct):
    """A forced order that was written to these connections; ``sent_ms`` is Unix time of our clock."""

    number: int  # of all that were sent, from 1
    symbol: str
    side: str
    T: int
    q: str
    p: str
    ap: str
    z: str
    sent_ms: int
    connections: tuple[int, ...]


class SentPage(msgspec.Struct):
    """``count`` of all that were sent (to the connection asked for), also those forgotten since.

    ``forgotten`` orders, the first of all connections, are not remembered any more; ``next`` is the ``after`` of the
    next page, if there is one.
    """

    count: int
    forgotten: int
    orders: list[SentOrder]
    next: int | None


class SentLog:
    """The last ``limit`` forced orders that were sent to anybody, oldest first."""

    def __init__(self, limit: int = MAX_ORDERS) -> None:
        self.orders: deque[SentOrder] = deque(maxlen=limit)
        self.count = 0
        self.counts: Counter[int] = Counter()  # per connection

    def add(self, order: ForceOrderBody, sent_ms: int, connections: tuple[int, ...]) -> None:
        self.count += 1
        self.counts.update(connections)
        self.orders.append(
            SentOrder(self.count, order.s, order.S, order.T, order.q, order.p, order.ap, order.z, sent_ms, connections)
        )

    def page(self, connection: int | None = None, after: int = 0, limit: int | None = None) -> SentPage:
        """Orders with a greater number than ``after``, at most ``limit``, of one connection or of all."""
        forgotten = self.count - len(self.orders)
        newer = islice(self.orders, max(after - forgotten, 0), None)
        asked = (order for order in newer if connection is None or connection in order.connections)
        orders = list(islice(asked, limit))
        has_more = limit is not None and len(orders) == limit and orders[-1].number < self.count
        count = self.count if connection is None else self.counts[connection]
        return SentPage(count, forgotten, orders, orders[-1].number if has_more else None)
