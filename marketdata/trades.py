"""The newest trades of a symbol: history joined to what comes live, without a gap and none twice. No Django, no clock.

A venue numbers the trades of a symbol one by one, so a hole in the ids is a trade that was missed.
"""

from collections import deque
from collections.abc import Iterable, Sequence
from itertools import islice

from marketdata.types import Trade

MAX_KEPT = 1000
MAX_WAITING = 5000


class TradeTape:
    """Keeps the newest ``limit`` trades, and hands on each once, in the order of ids.

    Trades beyond a hole wait until `fill` has closed it or `give_up` accepts it; when more than ``max_waiting`` wait,
    the tape gives up by itself. Before `seed` has told what came before, all wait. Whoever has a hole filled from a
    snapshot of another tape gets the holes accepted there, too.
    """

    def __init__(self, limit: int = MAX_KEPT, max_waiting: int = MAX_WAITING) -> None:
        self.limit, self.max_waiting = limit, max_waiting
        self.kept: deque[Trade] = deque(maxlen=limit)
        self.waiting: dict[int, Trade] = {}
        self.is_seeded = False
        self.last: Trade | None = None  # that was handed on
        self.next_id: int | None = None  # None: any trade may be the first
        self.skipped = 0  # trades that were given up
        self.restarts = 0  # how often the venue began to count anew

    @property
    def missing(self) -> tuple[int, int] | None:
        """The first and last id of the first hole."""
        if not self.waiting or self.next_id is None:
            return None
        return self.next_id, min(self.waiting) - 1

    def seed(self, history: Sequence[Trade]) -> list[Trade]:
        """Begin with these trades; hands on them and those waiting that follow. Without any, the first trade that
        comes is the first.

        A tape that has begun without history keeps what leads up to its first trade, but hands it on no more.
        """
        if self.is_seeded:
            self.prepend(history)
        self.is_seeded = True
        return self.fill(history)

    def take(self, trades: Iterable[Trade]) -> list[Trade]:
        """What is new and has none missing before it, oldest first."""
        for trade in trades:
            if self.next_id is None or trade.id >= self.next_id:
                self.waiting[trade.id] = trade
            elif self.last and trade.event_ms > self.last.event_ms:
                self.restart(trade)
        if self.is_seeded and self.next_id is None and self.waiting:
            self.next_id = min(self.waiting)
        handed_on = self.hand_on()
        while len(self.waiting) > self.max_waiting:
            handed_on += self.give_up()
        return handed_on

    def fill(self, trades: Sequence[Trade]) -> list[Trade]:
        """The venue's answer when asked for trades from the first missing id on; hands on as `take` does.

        What it lacks up to the last one in it is not to be had, and given up.
        """
        handed_on = self.take(trades)
        last_id = max((trade.id for trade in trades), default=-1)
        while (hole := self.missing) and hole[1] <= last_id:
            handed_on += self.give_up()
        return handed_on

    def give_up(self) -> list[Trade]:
        """Accept the first hole, and hand on what waits behind it. Without history, begin without it."""
        if not self.is_seeded:
            return self.seed(())
        if hole := self.missing:
            self.skipped += hole[1] - hole[0] + 1
            self.next_id = hole[1] + 1
        return self.hand_on()

    def newest(self, limit: int) -> list[Trade]:
        """At most ``limit``, newest first."""
        return list(islice(reversed(self.kept), limit))

    def snapshot(self) -> list[Trade]:
        """All that are kept, oldest first."""
        return list(self.kept)

    def hand_on(self) -> list[Trade]:
        handed_on: list[Trade] = []
        while self.next_id is not None and (trade := self.waiting.pop(self.next_id, None)):
            self.append(trade)
            handed_on.append(trade)
        return handed_on

    def append(self, trade: Trade) -> None:
        self.kept.append(trade)
        self.last, self.next_id = trade, trade.id + 1

    def prepend(self, history: Sequence[Trade]) -> None:
        by_id = {trade.id: trade for trade in history}
        while self.kept and len(self.kept) < self.limit and (older := by_id.get(self.kept[0].id - 1)):
            self.kept.appendleft(older)

    def restart(self, trade: Trade) -> None:
        """A trade with a lower id that is newer: nothing from before leads up to it."""
        self.restarts += 1
        self.kept.clear()
        self.waiting = {trade.id: trade}
        self.last, self.next_id = trade, trade.id
