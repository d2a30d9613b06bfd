"""Which kept answers a change has made outdated, decided at the time of reading and in constant space.

Each scope (a symbol, say) has a generation: a counter, and the minutes whose data have changed lately, each with the
count at which that happened. An answer carries the count at which its making began. It is outdated if one of its
minutes has changed since, or if it is older than the oldest change that is still known. `stores/scripts` does the same
inside Redis; a test holds the two together.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

import msgspec

# Minutes remembered for each scope. A symbol that trades every minute forgets after about an hour, whereupon answers
# made before that are outdated; they have usually expired by then.
MAX_MINUTES = 64


@dataclass(slots=True)
class Generation:
    """``floor``: answers begun at or before it are outdated; ``last``: the counter; ``minutes``: minute → count."""

    floor: int
    last: int
    minutes: dict[int, int] = field(default_factory=dict)

    def begin(self) -> int:
        """The stamp of an answer whose making begins now."""
        self.last += 1
        return self.last

    def touch(self, minutes: Iterable[int] | None) -> None:
        """Data of these minutes have changed; None means all."""
        self.last += 1
        changed = None if minutes is None else set(minutes)
        if changed is None or len(changed) > MAX_MINUTES:
            self.floor = self.last
            self.minutes.clear()
            return
        self.minutes.update(dict.fromkeys(changed, self.last))
        while len(self.minutes) > MAX_MINUTES:
            self.floor = min(self.minutes.values())
            self.minutes = {minute: count for minute, count in self.minutes.items() if count > self.floor}

    def copy(self) -> "Generation":
        """The state of this moment."""
        return Generation(self.floor, self.last, self.minutes.copy())

    def is_outdated(self, stamp: int, first_minute: int, last_minute: int) -> bool:
        """Whether an answer over these minutes, both included, whose making began at ``stamp`` may be wrong now."""
        if stamp <= self.floor:
            return True
        return any(count > stamp and first_minute <= minute <= last_minute for minute, count in self.minutes.items())

    def encode(self) -> bytes:
        """[floor, last, minute, count, minute, count, …] in MessagePack, which Redis' scripts read and write too."""
        pairs = [number for pair in self.minutes.items() for number in pair]
        return msgspec.msgpack.encode([self.floor, self.last, *pairs])


DECODER = msgspec.msgpack.Decoder(list[int])


def decode(data: bytes) -> Generation:
    floor, last, *pairs = DECODER.decode(data)
    return Generation(floor, last, dict(zip(pairs[::2], pairs[1::2], strict=True)))


def minutes_of(times_ms: Iterable[int]) -> set[int] | None:
    """The minutes of these times, or None (all) when there are more than a generation remembers."""
    minutes = {time_ms // 60_000 for time_ms in times_ms}
    return minutes if len(minutes) <= MAX_MINUTES else None
