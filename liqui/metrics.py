"""Figures beyond django-prometheus' own. Each process writes its own; any web worker answers with the sum of all.

The folder (PROMETHEUS_MULTIPROC_DIR) is set in the settings, before anything imports prometheus_client.
"""

import os
import time
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

from celery.signals import task_postrun, task_prerun
from django.urls import resolve
from django_prometheus.middleware import Metrics
from prometheus_client import Counter, Histogram

TASKS = Counter("liqui_celery_tasks", "Celery tasks that ended, by how they ended", ["task", "state"])
TASK_SECONDS = Histogram(
    "liqui_celery_task_seconds",
    "How long Celery tasks took",
    ["task"],
    buckets=(0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30, 60, 300, 1800),
)
started_at: dict[str, float] = {}


@task_prerun.connect
def task_started(task_id: str, **kwargs: Any) -> None:
    started_at[task_id] = time.perf_counter()


@task_postrun.connect
def task_ended(task_id: str, task: Any, state: str | None, **kwargs: Any) -> None:
    TASKS.labels(task.name, state or "UNKNOWN").inc()
    started = started_at.pop(task_id, None)
    if started is not None:
        TASK_SECONDS.labels(task.name).observe(time.perf_counter() - started)


class HitFigures:
    """What django-prometheus' two middlewares count for answers to GET of one view; its labels are looked up once."""

    def __init__(self, path: str, status: str, transport: str) -> None:
        figures: Any = Metrics.get_instance()
        view = resolve(path).view_name
        self.counters = [
            figures.requests_total,
            figures.responses_total,
            figures.requests_by_method.labels("GET"),
            figures.requests_by_transport.labels(transport),
            figures.requests_by_view_transport_method.labels(view, transport, "GET"),
            figures.responses_by_status.labels(status),
            figures.responses_by_status_view_method.labels(status, view, "GET"),
            figures.responses_by_charset.labels("utf-8"),
        ]
        self.latencies = [
            figures.requests_latency_before,
            figures.requests_latency_by_view_method.labels(view, "GET"),
        ]
        self.request_bytes, self.response_bytes = figures.requests_body_bytes, figures.responses_body_bytes

    def count(self, body_bytes: int, seconds: float) -> None:
        for counter in self.counters:
            counter.inc()
        for latency in self.latencies:
            latency.observe(seconds)
        self.request_bytes.observe(0)
        self.response_bytes.observe(body_bytes)


@lru_cache(maxsize=128)
def hit_figures(path: str, status: int, is_secure: bool) -> HitFigures:
    return HitFigures(path, str(status), "https" if is_secure else "http")


def remove_dead_files(folder: Path) -> None:
    """Forget the figures of processes that are gone; the files are named ``<kind>_<process id>.db``."""
    for path in folder.glob("*.db"):
        process = path.stem.rpartition("_")[2]
        if process.isdigit() and not is_alive(int(process)):
            with suppress(FileNotFoundError):
                path.unlink()


def is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True
