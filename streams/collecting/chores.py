"""Work beside the event loop's callbacks that nobody waits for."""

import asyncio
from collections.abc import Coroutine
from typing import Any

import structlog

logger = structlog.get_logger(__name__)


def chore(work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
    """A task whose fault of our own is told at once, and ends nothing else."""
    task = asyncio.create_task(work)
    task.add_done_callback(told)
    return task


def told(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()):
        logger.critical("a part of the collector has failed", exc_info=error)
