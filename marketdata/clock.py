"""Our clock."""

import time


def clock_ms() -> int:
    """Now, in Unix ms."""
    return time.time_ns() // 1_000_000
