"""What a newcomer is told, on the index page and in the terminal."""

import time
from urllib.parse import urlencode

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS

OWN_DATA_STEPS = (".venv/bin/python manage.py import_liquidations PATH…", "make run FEED=none")


def example_path() -> str:
    """A request that has an answer: the last whole day, hour by hour, until now."""
    now_ms = int(time.time() * 1000)
    window = {"start_timestamp": (now_ms - DAY_MS) // HOUR_MS * HOUR_MS, "end_timestamp": now_ms}
    return f"/api/liquidations?{urlencode({'symbol': 'BTCUSDT', 'timeframe': '1h', **window})}"
