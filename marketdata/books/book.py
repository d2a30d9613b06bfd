"""One symbol's order book: every price level that is known, exact and in order."""

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from decimal import Context, Decimal
from typing import Self

from marketdata.errors import BookOutOfSync
from marketdata.types import DepthDelta, DepthSnapshot, Level

EXACT = Context(prec=80)  # digits enough for any number of a venue's, and for moving its point
multiply = EXACT.multiply


class Scale:
    """Decimals as integers, × ``sign`` × 10^``places``: those are compared and added up many times as fast."""

    def __init__(self, sign: int, places: int = 0) -> None:
        self.sign = sign
        self.set_places(places)

    def set_places(self, places: int) -> None:
        self.places = places
        self.unit = 10**places  # stands for 1
        self.up = EXACT.scaleb(Decimal(self.sign), places)
        self.down = EXACT.scaleb(Decimal(self.sign), -places)

    def refine(self, number: Decimal) -> int:
        """Take numbers that are written as finely as this one; answers what all integers are to be multiplied by."""
        more_places = max(0, -int(number.as_tuple().exponent) - self.places)
        self.set_places(self.places + more_places)
        return 10**more_places


class BookSide:
    """The levels of one side, the worst first and the best last, as most changes are near the best.

    ``keys`` are prices of bids and negative prices of asks, so in both a greater key is better; ``quantities`` lie
    beside them. Both are integers of their scales.
    """

    def __init__(self, sign: int) -> None:
        self.prices, self.amounts = Scale(sign), Scale(1)
        self.keys: list[int] = []
        self.quantities: list[int] = []

    def load(self, levels: Iterable[Level]) -> None:
        """Hold these levels only, in any order."""
        self.keys.clear()
        self.quantities.clear()
        # From the worst on, each goes to the end.
        self.change(sorted(levels, reverse=self.prices.sign < 0))

    def change(self, changes: Sequence[Level]) -> None:
        """Give each price its new quantity; 0 removes it, which is nothing where it was never held."""
        keys, quantities = self.keys, self.quantities
        for key, quantity in self.integers(changes):
            index = bisect_left(keys, key)
            is_held = index < len(keys) and keys[index] == key
            if quantity and is_held:
                quantities[index] = quantity
            elif quantity:
                keys.insert(index, key)
                quantities.insert(index, quantity)
            elif is_held:
                del keys[index], quantities[index]

    def integers(self, changes: Sequence[Level]) -> list[tuple[int, int]]:
        """The levels as keys and quantities. Most of the time of a change goes by here."""
        prices, amounts = self.prices, self.amounts
        # A venue writes all numbers of a symbol with the same places, so looking at them closely is seldom needed.
        for price, quantity in changes:
            if not price.same_quantum(prices.down):
                refine(prices, price, self.keys)
            if not quantity.same_quantum(amounts.down):
                refine(amounts, quantity, self.quantities)
        price_up, amount_up = prices.up, amounts.up
        return [(int(multiply(price, price_up)), int(multiply(quantity, amount_up))) for price, quantity in changes]

    def level(self, index: int) -> Level:
        return multiply(self.keys[index], self.prices.down), multiply(self.quantities[index], self.amounts.down)

    @property
    def best(self) -> Level | None:
        return self.level(-1) if self.keys else None

    def levels(self, limit: int | None = None) -> list[Level]:
        """The best ``limit`` of them, or all, best first."""
        count = len(self.keys) if limit is None else min(limit, len(self.keys))
        return [self.level(-index) for index in range(1, count + 1)]

    def copy(self) -> Self:
        """As it is now, for another thread to read."""
        copy = type(self)(self.prices.sign)
        copy.prices.set_places(self.prices.places)
        copy.amounts.set_places(self.amounts.places)
        copy.keys, copy.quantities = self.keys.copy(), self.quantities.copy()
        return copy


def refine(scale: Scale, number: Decimal, integers: list[int]) -> None:
    """If the number is finer than any before, all are counted in smaller units from now on."""
    factor = scale.refine(number)
    if factor > 1:
        integers[:] = [integer * factor for integer in integers]


class OrderBook:
    """All levels that are known of one symbol as of the update ``last_update_id``.

    A venue's snapshot may hold its best levels only; worse ones are known once they change.
    """

    def __init__(self, symbol: str) -> None:
        self.symbol = symbol
        self.venue = ""
        self.last_update_id = 0
        self.event_ms = 0  # of the newest change, the venue's clock
        self.is_fresh = False  # loaded, and no delta applied since
        self.bids, self.asks = BookSide(1), BookSide(-1)

    def load(self, snapshot: DepthSnapshot) -> None:
        """Be the snapshot. Raises `BookOutOfSync` if it is crossed."""
        self.venue, self.event_ms = snapshot.venue, snapshot.event_ms
        self.last_update_id, self.is_fresh = snapshot.last_update_id, True
        self.bids.load(snapshot.bids)
        self.asks.load(snapshot.asks)
        self.check_uncrossed()

    def apply(self, delta: DepthDelta) -> None:
        """Apply absolute level quantities. Raises `BookOutOfSync` when an update was missed, and changes nothing then;
        or when the book is crossed by it, and is good for nothing then."""
        # Binance USD-M: the first delta after a snapshot spans its id; each later one names the id before it ("pu").
        follows = delta.previous_final_id == self.last_update_id
        spans_snapshot = self.is_fresh and delta.first_id <= self.last_update_id <= delta.final_id
        if not (follows or spans_snapshot):
            raise BookOutOfSync(self.symbol, self.last_update_id, delta.previous_final_id)
        self.bids.change(delta.bids)
        self.asks.change(delta.asks)
        self.last_update_id, self.is_fresh = delta.final_id, False
        self.event_ms = max(self.event_ms, delta.event_ms)
        self.check_uncrossed()

    @property
    def best_bid(self) -> Level | None:
        return self.bids.best

    @property
    def best_ask(self) -> Level | None:
        return self.asks.best

    @property
    def is_crossed(self) -> bool:
        """Whether somebody bids at least what another asks, which no venue lets stand."""
        bids, asks = self.bids, self.asks
        if not bids.keys or not asks.keys:
            return False
        return bids.keys[-1] * asks.prices.unit >= -asks.keys[-1] * bids.prices.unit

    def check_uncrossed(self) -> None:
        if self.is_crossed and self.best_bid and self.best_ask:
            raise BookOutOfSync(self.symbol, f"bids below {self.best_ask[0]}", self.best_bid[0])

    def levels(self, limit: int | None = None) -> tuple[list[Level], list[Level]]:
        """Bids and asks, the best ``limit`` of each, best first."""
        return self.bids.levels(limit), self.asks.levels(limit)

    def snapshot(self, event_ms: int) -> DepthSnapshot:
        """All of it, as others may begin with it."""
        bids, asks = self.levels()
        return DepthSnapshot(
            venue=self.venue,
            symbol=self.symbol,
            last_update_id=self.last_update_id,
            bids=bids,
            asks=asks,
            event_ms=event_ms,
        )

    def copy(self) -> Self:
        """As it is now, for another thread to read."""
        copy = type(self)(self.symbol)
        copy.venue, copy.event_ms = self.venue, self.event_ms
        copy.last_update_id, copy.is_fresh = self.last_update_id, self.is_fresh
        copy.bids, copy.asks = self.bids.copy(), self.asks.copy()
        return copy
