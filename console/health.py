"""How the parts of the service are, as an operator sees them within seconds; each part is asked for itself."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from django.conf import settings
from django.db import Error as DatabaseError
from django.utils import timezone

from cachemgmt.stores import store
from console.live_rate import COLLECTED_FEEDS
from console.samples import sample_last
from database.errors import QueryTimeout
from database.reading import reading
from liquidations.table import table_problem
from marketdata.clock import clock_ms
from streams.health import collectors_summary

Status = Literal["healthy", "degraded", "unhealthy", "disabled"]

DATABASE_SECONDS = 2
# Beat asks twice a minute; a worker that is busy with something long is not dead yet.
CELERY_LATE_S, CELERY_AWAY_S = 75, 300
# Collectors tell how they are once a second. /health gives them ten; here somebody is looking on.
COLLECTOR_SILENT_S = 4.0


@dataclass(frozen=True, slots=True)
class Part:
    name: str
    status: Status
    text: str


def parts() -> Iterator[Part]:
    """One that cannot even be asked is said to be so, and does not hide the others."""
    asked: dict[str, Callable[[], tuple[Status, str]]] = {
        "Database": database_health,
        "Redis": redis_health,
        "Celery": lambda: celery_health(sample_last(), timezone.now()),
        "Collector": collector_health,
    }
    for name, ask in asked.items():
        try:
            yield Part(name, *ask())
        except (DatabaseError, QueryTimeout) as error:
            yield Part(name, "unhealthy", f"the database did not answer: {error}")


def database_health() -> tuple[Status, str]:
    began = time.perf_counter()
    with reading(DATABASE_SECONDS) as reader:
        reader.value("SELECT 1")
    milliseconds = (time.perf_counter() - began) * 1000
    if problem := table_problem():
        return "unhealthy", problem
    return "healthy", f"{settings.ENVIRONMENT.database_place}, answers in {milliseconds:.1f} ms"


def redis_health() -> tuple[Status, str]:
    if not settings.ENVIRONMENT.redis_url:
        return "disabled", "not configured: answers are kept in local memory"
    if trouble := store().trouble:
        return "degraded", f"{trouble}; answering from local memory"
    # Not only what the cache knows: nobody may have used it since.
    figures = store().figures()
    if not figures["available"]:
        return "degraded", f"does not answer ({figures['error']}); answering from local memory"
    return "healthy", f"{figures['used_memory_human']} used, {figures['connected_clients']} clients"


def celery_health(last: datetime | None, now: datetime) -> tuple[Status, str]:
    """By a task that beat asks for twice a minute."""
    if last is None:
        return "unhealthy", "no task has run within a day: is a worker running, and beat?"
    seconds = (now - last).total_seconds()
    text = f"last task {seconds:.0f} s ago"
    if seconds > CELERY_AWAY_S:
        return "unhealthy", f"{text}: is a worker running, and beat?"
    return ("degraded", f"{text}, one is due every 30 s") if seconds > CELERY_LATE_S else ("healthy", text)


def collector_health() -> tuple[Status, str]:
    summary = collectors_summary(clock_ms())
    if settings.LIQUI_FEED not in COLLECTED_FEEDS and not summary.collectors:
        return "disabled", f"FEED={settings.LIQUI_FEED} collects nothing"
    ages = [each["updated_age_seconds"] for each in summary.collectors.values() if each["running"]]
    if ages and min(ages) > COLLECTOR_SILENT_S:
        return "unhealthy", f"has said nothing for {min(ages):.0f} s"
    status: Status = "healthy" if summary.status == "healthy" else "degraded" if ages else "unhealthy"
    if summary.status == "unhealthy":
        status = "unhealthy"
    return status, summary.message
