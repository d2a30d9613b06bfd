"""Buckets in this process's memory: all there is without Redis."""

import threading
import time
from collections import OrderedDict

from accounts.limits.bucket import Rate, Verdict, refilled, spend

MAX_BUCKETS = 100_000


class MemoryBuckets:
    """Threads may share it. Of more than ``MAX_BUCKETS`` clients, those unseen for longest are forgotten."""

    name = "local memory"
    trouble = ""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.kept: OrderedDict[str, tuple[int, int]] = OrderedDict()  # what was left, and when (monotonic, µs)

    def spend(self, client: str, rate: Rate) -> Verdict:
        with self.lock:
            now_us = time.monotonic_ns() // 1000
            left, at_us = self.kept.get(client, (rate.full, now_us))
            verdict = spend(rate, refilled(rate, left, now_us - at_us))
            self.kept[client] = verdict.left, now_us
            self.kept.move_to_end(client)
            if len(self.kept) > MAX_BUCKETS:
                self.kept.popitem(last=False)
        return verdict
