"""Figures beyond django-prometheus' own. Each process writes its own; any web worker answers with the sum of all.

The folder (PROMETHEUS_MULTIPROC_DIR) is set in the settings, before anything imports prometheus_client.
"""

import os
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from celery.signals import task_postrun, task_prerun
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
