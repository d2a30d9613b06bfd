"""How the collectors are, as `/health` tells it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from streams.models import CollectorStatus

FRESH_MS = 10_000  # a collector says how it is about once a second; older is not running, or cannot reach the database
FORGOTTEN_MS = 86_400_000  # then a collector that has stopped is not mentioned any more
# What a copy of another collector's orders counts, too.
SUMMED = ("reconnects", "received", "stored", "spooled", "dropped", "undecodable")
BREAKERS = ("closed", "half-open", "open")


@dataclass(frozen=True, slots=True)
class Summary:
    """``figures`` of all running collectors together; ``collectors``: each one's own state."""

    status: str
    message: str
    figures: dict[str, Any]
    collectors: dict[str, Any]


def collectors_summary(now_ms: int) -> Summary:
    """Healthy: one is connected. Raises Django's database errors."""
    rows = list(CollectorStatus.objects.filter(updated_ms__gt=now_ms - FORGOTTEN_MS).order_by("name"))
    running = [row for row in rows if row.updated_ms > now_ms - FRESH_MS]
    collectors = {row.name: told(row, now_ms) for row in rows}
    status, message = judged(running, now_ms)
    return Summary(status, message, figures([row.state for row in running], now_ms), collectors)


def judged(running: Sequence[CollectorStatus], now_ms: int) -> tuple[str, str]:
    if not running:
        return "unhealthy", "no collector is running"
    connected = [row.state for row in running if row.state["connected"]]
    if not connected:
        return "unhealthy", f"not connected: {running[0].state['fault'] or 'connecting'}"
    newest = max((state["last_message_ms"] or 0 for state in connected), default=0)
    age = f"last message {(now_ms - newest) / 1000:.1f} s ago" if newest else "no message yet"
    simulated = " to a simulated exchange" if any(state["simulated"] for state in connected) else ""
    is_whole = len(connected) == len(running) and not any(row.state["spool_near_full"] for row in running)
    status = "healthy" if is_whole else "degraded"
    return status, f"{len(connected)} of {len(running)} connected{simulated}, {age}"


def figures(states: Sequence[dict[str, Any]], now_ms: int) -> dict[str, Any]:
    newest = max((state["last_message_ms"] or 0 for state in states), default=0)
    return {
        "connected": any(state["connected"] for state in states),
        "simulated": any(state["simulated"] for state in states),
        "last_message_age_seconds": age_s(newest, now_ms),
        **{name: sum(state[name] for state in states) for name in SUMMED},
        "breaker": max((state["breaker"] for state in states), key=BREAKERS.index, default="closed"),
    }


def told(row: CollectorStatus, now_ms: int) -> dict[str, Any]:
    state = row.state
    return {
        "running": row.updated_ms > now_ms - FRESH_MS,
        "updated_age_seconds": age_s(row.updated_ms, now_ms),
        "last_message_age_seconds": age_s(state["last_message_ms"], now_ms),
        **{name: value for name, value in state.items() if not name.endswith("_ms")},
    }


def age_s(then_ms: int | None, now_ms: int) -> float | None:
    return round((now_ms - then_ms) / 1000, 1) if then_ms else None
