"""An order book that moves about the last trade, and the diffs of it by Binance's rules. In whole steps; no clock.

A book changes step by step; each step has update ids of its own, and the book knows itself as of its last steps. The
levels lie tick by tick, with holes. Source of the rules: Binance's "How to manage a local order book correctly".
"""

from collections import deque
from collections.abc import Iterable
from random import Random
from typing import NamedTuple

# Levels are made within so many ticks from the best, and taken away from this many further on. Together with the best
# no more than 1000: the largest snapshot holds the whole book, and who joins it misses nothing, however prices move.
REACH, SLACK = 850, 149
DENSITY = 0.97  # of the ticks have a level when they are made
SPREADS = (1, 1, 1, 2, 3)  # ticks between the best levels
STIRRED = 12  # levels that change on their own at a time
STIRRED_DEPTH = 20.0  # ticks from the best level, on average
REMOVED = 0.3  # of these changes take a level away
MAX_STEPS = 300  # that can be taken back
MAX_FOREIGN_IDS = 9  # update ids of other symbols between two steps
ID_RATE = 1000  # ids a millisecond: more than a book uses up, so that one made anew goes on above its old ids

Levels = list[tuple[int, int]]  # ticks, lots; the best first


class Half:
    """One side. The key of a level is its ticks times ``sign`` (bids -1, asks 1), so that the best has the least."""

    def __init__(self, sign: int, random: Random, sizes: list[int], best: int) -> None:
        self.sign, self.random, self.sizes = sign, random, sizes
        self.levels: dict[int, int] = {}
        self.before: dict[int, int] = {}  # what the levels were that this step has changed
        self.best, self.end = best, best - 1
        self.move(best)

    def set(self, key: int, lots: int) -> None:
        """0 takes the level away."""
        self.before.setdefault(key, self.levels.get(key, 0))
        if lots:
            self.levels[key] = lots
        else:
            self.levels.pop(key, None)

    def size(self) -> int:
        return self.random.choice(self.sizes)

    def move(self, best: int) -> None:
        """Let the best level be there: better ones go, and up to the old one there will be others."""
        if best > self.best:
            for key in [key for key in range(self.best, min(best, self.end + 1)) if key in self.levels]:
                self.set(key, 0)
        else:
            self.fill(best + 1, min(self.best, best + REACH))
        self.set(best, self.size())
        self.best = best
        self.stretch()

    def stretch(self) -> None:
        """Levels up to `REACH`, but at no price below one tick, and none too far beyond."""
        end = min(self.best + REACH, -1) if self.sign < 0 else self.best + REACH
        if self.end < end:
            self.fill(max(self.end, self.best) + 1, end + 1)
            self.end = end
        elif self.end > end + SLACK:
            for key in [key for key in range(end + 1, self.end + 1) if key in self.levels]:
                self.set(key, 0)
            self.end = end

    def fill(self, start: int, stop: int) -> None:
        keys = [key for key in range(start, stop) if self.random.random() < DENSITY]
        for key, size in zip(keys, self.random.choices(self.sizes, k=len(keys)), strict=True):
            self.set(key, size)

    def stir(self, least: int = 0) -> None:
        """Change one level, ``least`` ticks or more from the best, which never goes."""
        distance = least + int(self.random.expovariate(1 / STIRRED_DEPTH))
        key = min(self.best + distance, self.end)
        goes = distance and key in self.levels and self.random.random() < REMOVED
        self.set(key, 0 if goes and key != self.best else self.size())

    def best_first(self, levels: dict[int, int]) -> Levels:
        return [(key * self.sign, levels[key]) for key in sorted(levels)]


class Step(NamedTuple):
    """What levels were before a step, by key; 0: not there."""

    id: int
    time_ms: int
    bids: dict[int, int]
    asks: dict[int, int]


class View(NamedTuple):
    """A book as of an update."""

    id: int
    time_ms: int
    bids: Levels
    asks: Levels


class Book:
    """``sizes`` are possible quantities of a level (lots). The last trade was at ``ticks``."""

    def __init__(self, random: Random, sizes: list[int], ticks: int, now_ms: int) -> None:
        self.random = random
        self.id, self.time_ms = now_ms * ID_RATE, now_ms
        self.bids, self.asks = Half(-1, random, sizes, -ticks), Half(1, random, sizes, ticks + 1)
        self.bids.before, self.asks.before = {}, {}
        self.steps: deque[Step] = deque(maxlen=MAX_STEPS)
        self.diffs: list[Diffs] = []
        self.watchers = 0  # who have to be told of every change; without them it may rest

    @property
    def best(self) -> tuple[int, int, int, int]:
        """The best bid's ticks and lots, and the best ask's."""
        bids, asks = self.bids, self.asks
        return -bids.best, bids.levels[bids.best], asks.best, asks.levels[asks.best]

    def trade(self, ticks: int, now_ms: int, *, is_sell: bool) -> None:
        """A taker met the best level of one side at this price, which stays; the other side draws near."""
        spread = self.random.choice(SPREADS)
        # There is no price of no ticks.
        bid = ticks if is_sell or ticks <= spread else ticks - spread
        self.bids.move(-bid)
        self.asks.move(bid + spread)
        self.finish(now_ms)

    def stir(self, now_ms: int, count: int = STIRRED, least: int = 0) -> None:
        """Changes without a trade, ``least`` ticks or more from the best levels."""
        for _ in range(count):
            (self.bids if self.random.random() < 0.5 else self.asks).stir(least)
        self.finish(now_ms)

    def finish(self, now_ms: int) -> None:
        """The end of a step, whose changes have an id each."""
        bids, asks = self.bids.before, self.asks.before
        self.bids.before, self.asks.before = {}, {}
        first_id = self.id + self.random.randint(1, MAX_FOREIGN_IDS)
        self.id, self.time_ms = first_id + len(bids) + len(asks) - 1, max(now_ms, self.time_ms)
        self.steps.append(Step(self.id, self.time_ms, bids, asks))
        for diffs in self.diffs:
            diffs.take(first_id, bids, asks)

    def view(self) -> View:
        return View(
            self.id, self.time_ms, self.bids.best_first(self.bids.levels), self.asks.best_first(self.asks.levels)
        )

    def view_at(self, id: int) -> View | None:
        """The book as of the last step up to ``id``; None when that is too long ago, or has not been."""
        if id > self.id or not self.steps or id < self.steps[0].id:
            return None
        bids, asks = dict(self.bids.levels), dict(self.asks.levels)
        for step in reversed(self.steps):
            if step.id <= id:
                return View(step.id, step.time_ms, self.bids.best_first(bids), self.asks.best_first(asks))
            restore(bids, step.bids)
            restore(asks, step.asks)
        return None


def restore(levels: dict[int, int], before: dict[int, int]) -> None:
    for key, lots in before.items():
        if lots:
            levels[key] = lots
        else:
            levels.pop(key, None)


class Diff(NamedTuple):
    """Levels with their new lots, the lowest first; the updates ``first_id`` to ``id``, after ``previous_id``."""

    first_id: int
    id: int
    previous_id: int
    bids: Levels
    asks: Levels
    time_ms: int


class Diffs:
    """What has changed in a book since this was asked last: one chain of ids. Ends with `leave`."""

    def __init__(self, book: Book) -> None:
        self.book, self.previous_id = book, book.id
        self.first_id: int | None = None
        self.bids: set[int] = set()
        self.asks: set[int] = set()
        book.diffs.append(self)

    def take(self, first_id: int, bids: Iterable[int], asks: Iterable[int]) -> None:
        self.first_id = self.first_id or first_id
        self.bids.update(bids)
        self.asks.update(asks)

    def next(self) -> Diff | None:
        """None when nothing has changed."""
        if self.first_id is None:
            return None
        book = self.book
        bids = [(-key, book.bids.levels.get(key, 0)) for key in sorted(self.bids, reverse=True)]
        asks = [(key, book.asks.levels.get(key, 0)) for key in sorted(self.asks)]
        diff = Diff(self.first_id, book.id, self.previous_id, bids, asks, book.time_ms)
        self.previous_id, self.first_id = book.id, None
        self.bids.clear()
        self.asks.clear()
        return diff

    def leave(self) -> None:
        self.book.diffs.remove(self)
