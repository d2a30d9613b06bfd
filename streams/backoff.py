"""How long to wait before a connection is tried again."""

import random

DELAYS_S = (1.0, 2.0, 5.0, 10.0, 30.0)
JITTER = 0.2  # a venue that restarts should not see all its clients in one instant


class Backoff:
    """Growing pauses. A connection that is made proves little: only a good message starts them anew (`reset`)."""

    def __init__(self) -> None:
        self.failures = 0

    def next_s(self) -> float:
        """The pause before the next attempt, up to a fifth longer or shorter than `DELAYS_S` says."""
        delay_s = DELAYS_S[min(self.failures, len(DELAYS_S) - 1)]
        self.failures += 1
        return delay_s * random.uniform(1 - JITTER, 1 + JITTER)

    def reset(self) -> None:
        self.failures = 0
