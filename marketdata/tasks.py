"""Celery tasks: thin, safe to run twice, and asked for by name from a second shell (`celery -A liqui call …`)."""

import structlog
from celery import shared_task

from marketdata.errors import LiquiError
from marketdata.services import instruments_sync

logger = structlog.get_logger(__name__)


@shared_task(name="marketdata.sync_instruments")
def sync_instruments() -> None:
    """Bring the table of instruments to what the venue lists; asked for again, it catches up."""
    try:
        result = instruments_sync()
    except LiquiError as error:
        logger.error("instruments are not brought up to date", error=str(error))
        return
    logger.info("instruments are up to date", listed=result.listed, added=result.added, delisted=result.delisted)
