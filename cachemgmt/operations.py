"""What operators do with the cache. The endpoints and the command are two ways to these functions."""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, TypeVar

import msgspec

from cachemgmt import figures, warming
from cachemgmt.caching import flights
from cachemgmt.keys import key_text
from cachemgmt.registry import Subject, about_symbol, about_symbol_lists
from cachemgmt.stores import store
from cachemgmt.types import Figures
from cachemgmt.warming import Progress

Result = TypeVar("Result", bool, int)

NOT_AVAILABLE = {"available": False, "error": "Cache not available"}
# A call that is repeated within this time is the same call: a double click, a proxy's second try.
REPEAT_S = 1.0
NOTED_S = 60.0
# To look for the result of the first call, and how long to wait for it.
POLL_S, PATIENCE_S = 0.02, 5.0


def answers_clear(pattern: str) -> int:
    """Remove this deployment's answers whose keys match the glob, and those being made; how many were kept."""
    removed = store().clear(pattern)
    flights.forget_all()
    return removed


def symbol_invalidate(symbol: str) -> int:
    """Remove the answers about this symbol, in any spelling; how many were kept."""
    return subject_invalidate(about_symbol(symbol))


def symbols_invalidate() -> bool:
    """Remove the lists of symbols; whether the cache could be told."""
    subject_invalidate(about_symbol_lists())
    return not store().trouble


def subject_invalidate(subject: Subject) -> int:
    # Outdated first, whoever is making them right now; removing alone would let those be kept by other processes.
    store().touch(dict.fromkeys(subject.scopes))
    return sum(answers_clear(pattern) for pattern in subject.patterns)


def cache_stats() -> Figures:
    """The contract's eight figures of the store, or that it is not available; then our own, per namespace."""
    kept, is_all = figures.contents()
    totals = figures.counted()
    traffic = figures.traffic(totals)
    trouble = store().trouble
    return (NOT_AVAILABLE if trouble else store().figures()) | {
        "store": store().name,
        "breaker": {
            "is_open": bool(trouble),
            "reason": trouble,
            "openings": int(totals["liqui_cache_breaker_openings_total", "", ""]),
        },
        "namespaces": {name: traffic[name] | kept[name] for name in traffic},
        "namespaces_complete": is_all,
        "warming": progress_shown(warming.latest()),
    }


def progress_shown(progress: Progress | None) -> dict[str, Any] | None:
    if progress is None:
        return None
    return {
        "is_running": progress.is_alive,
        "started": datetime.fromtimestamp(progress.started_ms / 1000, UTC).isoformat(timespec="seconds"),
        "total": progress.total,
        "done": progress.done,
        "made": progress.made,
        "failed": progress.failed,
        "seconds": progress.seconds,
    }


def once_a_second(name: str, parameter: str, work: Callable[[], Result]) -> Result:
    """``work``'s result. A call with the same name and parameter within a second, in whatever process, is the same
    call: it gets the first one's result."""
    call = key_text(name, parameter)
    if store().once(call, REPEAT_S):
        # What an earlier call has left is not this one's result.
        store().note(call, b"", NOTED_S)
        result = work()
        store().note(call, msgspec.json.encode(result), NOTED_S)
        return result
    give_up_at = time.monotonic() + PATIENCE_S
    while time.monotonic() < give_up_at:
        time.sleep(POLL_S)
        if noted := store().note(call):
            return msgspec.json.decode(noted)
    return work()
