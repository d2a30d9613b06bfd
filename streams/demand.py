"""What web processes want of market data, as a collector has heard it. Pure: the caller says what time it is."""

from dataclasses import dataclass

from streams.market_messages import FORGOTTEN_S, Demand, Feed

LINGER_S = 2.0  # for which a feed that nobody wants any more is kept: switching back and forth costs nothing


@dataclass(frozen=True, slots=True)
class Word:
    """The last one of a process; ``said_s`` in monotonic seconds, as all times here."""

    feeds: frozenset[Feed]
    said_s: float


class DemandLedger:
    """Times never go back from call to call."""

    def __init__(self) -> None:
        self.words: dict[str, Word] = {}
        self.lingering: dict[Feed, float] = {}  # until when, of what somebody has left

    def take(self, demand: Demand, now_s: float) -> None:
        """A process says what it wants from now on; nothing, when it leaves."""
        feeds = frozenset(demand.feeds)
        before = self.words.pop(demand.process, None)
        if before is not None:
            self.leave(before.feeds - feeds, min(now_s, before.said_s + FORGOTTEN_S))
        if feeds:
            self.words[demand.process] = Word(feeds, now_s)

    def wanted(self, now_s: float) -> set[Feed]:
        """What living processes want, and what somebody has wanted until a moment ago."""
        self.forget(now_s)
        return {feed for word in self.words.values() for feed in word.feeds} | self.lingering.keys()

    def excuse(self, now_s: float) -> None:
        """Nobody was heard for a while, which was not their fault: what they said last counts as said now."""
        self.words = {process: Word(word.feeds, now_s) for process, word in self.words.items()}

    def forget(self, now_s: float) -> None:
        dead = [process for process, word in self.words.items() if word.said_s + FORGOTTEN_S <= now_s]
        for process in dead:
            word = self.words.pop(process)
            self.leave(word.feeds, word.said_s + FORGOTTEN_S)
        self.lingering = {feed: until_s for feed, until_s in self.lingering.items() if until_s > now_s}

    def leave(self, feeds: frozenset[Feed], left_s: float) -> None:
        for feed in feeds:
            self.lingering[feed] = max(self.lingering.get(feed, 0.0), left_s + LINGER_S)
