"""When a venue that fails again and again is left alone for a while. No I/O: the caller says what time it is."""

from typing import Literal

FAILURES_TO_OPEN = 5
SUCCESSES_TO_CLOSE = 2
FIRST_OPEN_S = 60.0
LONGEST_OPEN_S = 300.0

State = Literal["closed", "open", "half-open"]


class Breaker:
    """Of one connection. Times are monotonic seconds, all of them divided by ``haste``.

    Closed, it lets every attempt through; five failures in a row open it for a minute, and for twice as long after each
    further one. Then it is half open: one attempt is let through, a failure opens it again, two good messages close it.
    """

    def __init__(self, haste: float = 1.0) -> None:
        self.haste = haste
        self.reset()

    def reset(self) -> None:
        """Close it by hand."""
        self.failures = self.successes = self.times_opened = 0
        self.opened_until: float | None = None
        self.is_trying = False

    def state(self, now: float) -> State:
        if self.opened_until is None:
            return "closed"
        return "open" if now < self.opened_until else "half-open"

    def wait_s(self, now: float) -> float:
        """How long until the next attempt may be let through."""
        return 0.0 if self.opened_until is None else max(0.0, self.opened_until - now)

    def allows(self, now: float) -> bool:
        """Whether an attempt may be made now; half open, that one is the only one until its outcome is told."""
        state = self.state(now)
        if state == "half-open" and not self.is_trying:
            self.is_trying = True
            return True
        return state == "closed"

    def success(self) -> None:
        """A good message has come."""
        self.failures = 0
        if self.opened_until is not None:
            self.successes += 1
            if self.successes >= SUCCESSES_TO_CLOSE:
                self.reset()

    def failure(self, now: float) -> None:
        """An attempt has failed, or a connection was lost."""
        self.failures += 1
        self.successes, self.is_trying = 0, False
        if self.opened_until is not None or self.failures >= FAILURES_TO_OPEN:
            open_s = min(FIRST_OPEN_S * 2**self.times_opened, LONGEST_OPEN_S)
            self.opened_until = now + open_s / self.haste
            self.times_opened += 1
