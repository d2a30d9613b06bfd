"""Long work asked for in the console: kept as a row, run by Celery, with a progress to look at."""

import time
from collections.abc import Callable
from typing import Any, Protocol

import structlog
from celery.exceptions import OperationalError
from django.db import transaction
from django.utils import timezone

from accounts.audit import record
from accounts.callers import Caller
from accounts.roles import Role
from console.models import Job

logger = structlog.get_logger(__name__)

# Between two writes of a job's progress: work may report a thousand times a second.
REPORT_INTERVAL_S = 0.5
# The queue's connection may have died since it was last used; beyond that, nobody is kept waiting.
TRY_TWICE = {"max_retries": 1, "interval_start": 0}


class JobFailed(Exception):
    """The work cannot be done; the text is for the person who asked."""


class Report(Protocol):
    def __call__(self, done: int, total: int | None = None, message: str = "") -> None: ...


Work = Callable[[Job, Report], dict[str, Any]]  # answers the job's result; ``amount`` in it goes to the audit log

works: dict[str, Work] = {}


def work_for(kind: str) -> Callable[[Work], Work]:
    """Declares the function that does jobs of this kind."""

    def declare(work: Work) -> Work:
        works[kind] = work
        return work

    return declare


def job_start(kind: str, actor: Caller, target: str = "", **arguments: Any) -> Job:
    """Keep it and hand it to Celery once it is committed. It has failed already if Celery's queue cannot be reached."""
    job = Job.objects.create(kind=kind, target=target, arguments=arguments, actor=actor.name, address=actor.address)
    transaction.on_commit(lambda: hand_over(job))
    return job


def hand_over(job: Job) -> None:
    from console.tasks import run_job

    try:
        run_job.apply_async((job.pk,), retry_policy=TRY_TWICE)  # type: ignore[operator]  # celery has no annotations
    except OperationalError as error:
        logger.error(f"Celery's queue cannot be reached: {error}", job=job.pk, kind=job.kind)
        job_end(job, "Celery's queue cannot be reached. Ask again when it can.")


def job_end(job: Job, why: str) -> None:
    """It is over without having been done."""
    job.state, job.message, job.finished_at = Job.State.FAILED, why, timezone.now()
    job.save(update_fields=["state", "message", "finished_at"])


def job_active(kind: str) -> Job | None:
    """The newest job of this kind that waits or is being done."""
    job = Job.objects.filter(kind=kind, state__in=(Job.State.WAITING, Job.State.RUNNING)).order_by("-pk").first()
    return None if job is None or job.is_stalled else job


def job_again(job: Job, actor: Caller) -> Job:
    """The same once more. What has stalled is over, also for a worker that would still take it up."""
    if not job.is_over:
        job_end(job, "Given up: nothing was heard of it any more.")
    return job_start(job.kind, actor, job.target, **job.arguments)


def job_run(job_id: int) -> None:
    """Do it, unless it is over. What it raises is kept for the person who asked, and logged."""
    job = Job.objects.filter(pk=job_id).first()
    if job is None or job.is_over:
        return
    job.state, job.started_at = Job.State.RUNNING, timezone.now()
    job.told_at = job.started_at
    job.save(update_fields=["state", "started_at", "told_at"])
    try:
        job.result = works[job.kind](job, reporter(job))
        job.state = Job.State.DONE
    except JobFailed as failure:
        job.state, job.message = Job.State.FAILED, str(failure)
    except Exception as error:
        logger.exception("a job failed", job=job.pk, kind=job.kind)
        job.state, job.message = Job.State.FAILED, f"{type(error).__name__}; the log says more"
    job.finished_at = timezone.now()
    job.save()
    record(
        Caller(job.actor, Role.OPERATOR, "session", "", address=job.address),
        f"{job.kind}.finish",
        job.target,
        amount=job.result.get("amount"),
        outcome="done" if job.state == Job.State.DONE else "failed",
        message=job.message,
    )


def reporter(job: Job) -> Report:
    next_write = 0.0

    def report(done: int, total: int | None = None, message: str = "") -> None:
        nonlocal next_write
        job.done, job.message, job.told_at = done, message, timezone.now()
        job.total = job.total if total is None else total
        if time.monotonic() >= next_write:
            next_write = time.monotonic() + REPORT_INTERVAL_S
            job.save(update_fields=["done", "total", "message", "told_at"])

    return report
