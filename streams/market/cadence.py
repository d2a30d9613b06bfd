"""When what changes ten times a second is shown ten times a second at most. No I/O: the caller says what time it is."""


class Cadence:
    """At most one frame in ``interval_s`` on average, each as soon as there is news. Times are monotonic seconds.

    One frame may come up to an interval early (virtual scheduling, as in the generic cell rate algorithm of ITU-T
    I.371). Without that reserve an update that comes late would delay all later ones: each waits for the one before.
    """

    def __init__(self, interval_s: float) -> None:
        self.interval_s = interval_s
        self.due_s = 0.0  # when the next frame would be sent at an even pace

    def wait_s(self, now_s: float) -> float:
        """How long what is new has to wait; the newest replaces it meanwhile."""
        short_s = self.due_s - self.interval_s - now_s  # of the reserve
        if short_s <= 0:
            return 0.0
        # A little short, because the exchange's clock is faster than ours, every update would be: one is left out.
        return short_s if short_s > self.interval_s / 2 else short_s + self.interval_s

    def sent(self, now_s: float) -> None:
        self.due_s = max(self.due_s, now_s) + self.interval_s
