"""What a collector tells of itself: to the database for `/health`, and to Prometheus."""

from typing import Any

import msgspec
from prometheus_client import Counter

from streams.collecting.breaker import State as BreakerState
from streams.models import CollectorStatus

FRAMES = Counter("liqui_collector_frames", "Frames received from the venue", ["collector"])
RECEIVED = Counter("liqui_collector_orders_received", "Forced orders received", ["collector"])
STORED = Counter("liqui_collector_orders_stored", "Forced orders stored, copies included", ["collector"])
REJECTED = Counter("liqui_collector_orders_rejected", "Forced orders that the table cannot hold", ["collector"])
DROPPED = Counter("liqui_collector_orders_dropped", "Forced orders for which the spool had no room", ["collector"])
UNDECODABLE = Counter("liqui_collector_frames_undecodable", "Frames that cannot be understood", ["collector"])
CONNECTIONS = Counter("liqui_collector_connections", "Connections made to the venue", ["collector"])
LOST = Counter("liqui_collector_connections_lost", "Connections lost, and attempts that failed", ["collector"])


class State(msgspec.Struct, kw_only=True):
    """Counts are since the start of the process; ``spooled`` orders wait to be stored."""

    connected: bool = False
    simulated: bool = False
    breaker: BreakerState = "closed"
    fault: str | None = None
    last_message_ms: int | None = None
    reconnects: int = 0
    frames: int = 0
    received: int = 0
    stored: int = 0
    spooled: int = 0
    rejected: int = 0
    dropped: int = 0
    undecodable: int = 0
    spool_near_full: bool = False
    shard: str = "1/1"
    started_ms: int = 0


class Counters:
    """Moves Prometheus' counters to what a state says; once a second is often enough, and costs frames nothing."""

    def __init__(self, name: str) -> None:
        pairs = {
            "frames": FRAMES,
            "received": RECEIVED,
            "stored": STORED,
            "rejected": REJECTED,
            "dropped": DROPPED,
            "undecodable": UNDECODABLE,
        }
        self.counters = {field: counter.labels(name) for field, counter in pairs.items()}
        self.told = dict.fromkeys(pairs, 0)

    def tell(self, state: State) -> None:
        for field, counter in self.counters.items():
            value = getattr(state, field)
            counter.inc(value - self.told[field])
            self.told[field] = value


def status_write(name: str, state: State, now_ms: int) -> None:
    """Raises Django's database errors."""
    values: dict[str, Any] = {"state": msgspec.to_builtins(state), "updated_ms": now_ms}
    CollectorStatus.objects.update_or_create(name=name, defaults=values)
