"""A client's own order book, by Binance's rules and nothing else: it imports nothing of the exchange."""

from typing import Any

Side = dict[str, str]


class OutOfSync(Exception):
    pass


class LocalBook:
    """Begins with a snapshot; takes diffs in their order, those of before it too."""

    def __init__(self, snapshot: Any) -> None:
        self.id: int = snapshot["lastUpdateId"]
        self.is_joined = False
        self.bids: Side = dict(snapshot["bids"])
        self.asks: Side = dict(snapshot["asks"])

    def take(self, diff: Any) -> bool:
        """Whether it was applied. Raises `OutOfSync` when one is missing."""
        if not self.is_joined and diff["u"] < self.id:
            return False
        follows = diff["pu"] == self.id if self.is_joined else diff["U"] <= self.id <= diff["u"]
        if not follows:
            raise OutOfSync(diff)
        for side, changes in ((self.bids, diff["b"]), (self.asks, diff["a"])):
            for price, quantity in changes:
                if float(quantity) == 0:
                    side.pop(price, None)
                else:
                    side[price] = quantity
        self.id, self.is_joined = diff["u"], True
        return True

    @property
    def levels(self) -> tuple[list[list[str]], list[list[str]]]:
        """Bids and asks, the best first."""
        bids = sorted(self.bids.items(), key=lambda level: -float(level[0]))
        asks = sorted(self.asks.items(), key=lambda level: float(level[0]))
        return [list(level) for level in bids], [list(level) for level in asks]

    @property
    def is_crossed(self) -> bool:
        return max(map(float, self.bids)) >= min(map(float, self.asks))
