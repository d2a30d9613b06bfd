"""Reads that took long, of all processes: written down by a thread of each, which nobody waits for."""

import os
import threading
import time
from datetime import UTC, datetime, timedelta

import structlog
from django.db import connection
from django.utils import timezone

from console.models import SlowQuery
from database import slow

logger = structlog.get_logger(__name__)

PAUSE_S = 2.0  # between two writes, however many reads are slow
KEPT = timedelta(days=1)
MOST = 1000  # of a day; the newest


class Writer:
    """One thread for the process, started at the first slow read, also after a fork."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.process = 0

    def wake(self) -> None:
        """Called by a read that was slow."""
        with self.lock:
            if self.process != os.getpid():
                self.process = os.getpid()
                threading.Thread(target=self.run, name="slow-queries", daemon=True).start()

    def run(self) -> None:
        while True:
            slow.noted.wait()
            try:
                slow_queries_keep(slow.take())
            except Exception as error:
                # A database in such trouble that it cannot take these has worse to tell.
                logger.debug(f"slow reads are not noted: {error}")
            finally:
                connection.close()
            time.sleep(PAUSE_S)


writer = Writer()


def slow_queries_keep(reads: list[slow.SlowRead]) -> None:
    SlowQuery.objects.bulk_create(
        SlowQuery(
            at=datetime.fromtimestamp(read.at, UTC),
            milliseconds=round(read.seconds * 1000),
            statement=read.statement,
            parameters=read.parameters,
            ended_by_limit=read.is_ended,
        )
        for read in reads
    )
    slow_queries_prune()


def slow_queries_prune() -> None:
    """Forget what is older than a day, and of the rest all but the newest."""
    SlowQuery.objects.filter(at__lt=timezone.now() - KEPT).delete()
    oldest = SlowQuery.objects.order_by("-id").values_list("id", flat=True)[MOST : MOST + 1].first()
    if oldest is not None:
        SlowQuery.objects.filter(id__lte=oldest).delete()


def slowest(count: int) -> list[SlowQuery]:
    """The longest of the last day, the longest first."""
    return list(SlowQuery.objects.filter(at__gte=timezone.now() - KEPT).order_by("-milliseconds", "-id")[:count])
