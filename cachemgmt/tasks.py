"""Celery tasks: thin, safe to run twice, and asked for by name from a second shell (`celery -A liqui call …`)."""

from celery import shared_task

from cachemgmt import figures
from cachemgmt.warming import warm as warm_now


@shared_task(name="cachemgmt.warm")
def warm() -> None:
    """Make what clients are going to ask for; beat asks every five minutes, and every worker when it starts."""
    warm_now()


@shared_task(name="cachemgmt.count")
def count() -> None:
    """Let Prometheus see what is kept; beat asks every minute."""
    kept, _ = figures.contents()
    figures.gauges_set(kept)
