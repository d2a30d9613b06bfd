"""Warming the cache: the long work behind the cache's page."""

import time
from typing import Any

from cachemgmt import warming
from cachemgmt.warming import Progress
from console.jobs import JobFailed, Report, work_for
from console.models import Job

POLL_S = 0.5


@work_for("cache.warm")
def warm(job: Job, report: Report) -> dict[str, Any]:
    """Make what clients are going to ask for; where another run is at it, watch that one."""

    def show(progress: Progress) -> None:
        report(progress.done, progress.total, told(progress))

    progress = warming.warm(show) or watched(show)
    if progress.done < progress.total:
        raise JobFailed(f"Left unfinished after {told(progress)}: the database cannot be used, or the run was ended.")
    show(progress)
    return {"amount": progress.made, "failed": progress.failed, "seconds": progress.seconds}


def watched(show: Any) -> Progress:
    """The run that another process does, once it is over."""
    while True:
        progress = warming.latest()
        if progress is None:
            raise JobFailed("Another run was at it, and nothing is known of it any more.")
        show(progress)
        if not progress.is_alive:
            return progress
        time.sleep(POLL_S)


def told(progress: Progress) -> str:
    fresh = progress.done - progress.made - progress.failed
    failed = f", {progress.failed:,} failed" if progress.failed else ""
    return f"{progress.made:,} answers made, {fresh:,} were fresh{failed}"
