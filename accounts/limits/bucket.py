"""A token bucket in whole numbers: may one more request pass, and what is left then? It knows no clock and no store."""

from typing import NamedTuple

# A token has so many parts that each microsecond brings a whole number of them, one for each token a minute: nothing
# is ever rounded, here or in Redis, whose numbers are exact up to 2^53.
PARTS = 60_000_000
MICROSECONDS = 1_000_000


class Rate(NamedTuple):
    """``burst`` tokens at the most, ``per_minute`` new ones; a request costs one."""

    per_minute: int
    burst: int

    @property
    def full(self) -> int:
        return self.burst * PARTS

    @property
    def parts_per_second(self) -> int:
        return self.per_minute * MICROSECONDS


class Verdict(NamedTuple):
    """Whether a request may pass, and how many parts are left after it."""

    rate: Rate
    is_allowed: bool
    left: int

    @property
    def remaining(self) -> int:
        """How many requests may pass at once now."""
        return self.left // PARTS

    @property
    def reset_s(self) -> int:
        """Whole seconds until the bucket is full again."""
        return -(-(self.rate.full - self.left) // self.rate.parts_per_second)

    @property
    def retry_after_s(self) -> int:
        """Whole seconds after which one more request may pass."""
        return max(PARTS - self.left, 0) // self.rate.parts_per_second + 1


def refilled(rate: Rate, left: int, elapsed_us: int) -> int:
    """What is in the bucket so long after ``left`` was; a clock that was put back brings nothing and takes nothing."""
    return min(rate.full, left + max(elapsed_us, 0) * rate.per_minute)


def spend(rate: Rate, left: int) -> Verdict:
    return Verdict(rate, True, left - PARTS) if left >= PARTS else Verdict(rate, False, left)
