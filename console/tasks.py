"""Celery tasks of the console: thin, safe to run twice."""

from importlib import import_module
from pkgutil import iter_modules

from celery import shared_task

import console
from console.jobs import job_run
from console.samples import sample_take
from console.uploads import uploads_remove

# Each declares the work of its kinds of jobs.
for module in iter_modules(console.__path__):
    if module.name.endswith("_jobs"):
        import_module(f"console.{module.name}")


@shared_task(name="console.run_job")
def run_job(job_id: int) -> None:
    """Do a job that somebody has asked for in the console."""
    job_run(job_id)


@shared_task(name="console.remove_uploads")
def remove_uploads() -> None:
    """Remove uploaded files and their reject files when they are a day old."""
    uploads_remove()


@shared_task(name="console.sample")
def sample() -> None:
    """Note what has been counted so far; beat asks twice a minute. That there is a new one shows that Celery works."""
    sample_take()
