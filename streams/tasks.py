"""Celery tasks: thin, safe to run twice, and asked for by name from a second shell (`celery -A liqui call …`)."""

import structlog
from celery import shared_task

from database.tasks import left_for_later
from marketdata.clock import clock_ms
from streams.commands import commands_prune
from streams.gaps import coverage_prune
from streams.outbox import outbox_prune

logger = structlog.get_logger(__name__)


@shared_task(name="streams.prune_outbox")
@left_for_later()
def prune_outbox() -> None:
    """Forget live orders that are too old to resume from, and the oldest of the gap ledger; beat asks for it hourly."""
    pruned, connections = outbox_prune(clock_ms()), coverage_prune(clock_ms())
    commands_prune(clock_ms())
    if pruned or connections:
        logger.info("old live orders forgotten", orders=pruned, connections=connections)
