"""Celery tasks: thin, safe to run twice, and asked for by name from a second shell (`celery -A liqui call …`)."""

import structlog
from celery import shared_task
from django.conf import settings

from database.tasks import left_for_later
from marketdata.candles import tasks as candle_tasks  # noqa: F401  # Celery looks for tasks here alone
from marketdata.errors import LiquiError
from marketdata.services import instruments_sync, tickers_sync
from marketdata.venue import COLLECTING_FEEDS

logger = structlog.get_logger(__name__)


@shared_task(name="marketdata.sync_instruments")
@left_for_later()
def sync_instruments() -> None:
    """Bring the table of instruments to what the venue lists; asked for again, it catches up."""
    try:
        result = instruments_sync()
    except LiquiError as error:
        logger.error("instruments are not brought up to date", error=str(error))
        return
    logger.info("instruments are up to date", listed=result.listed, added=result.added, delisted=result.delisted)


@shared_task(name="marketdata.sync_tickers")
@left_for_later()
def sync_tickers() -> None:
    """Bring last prices and 24h volumes up to date, where the feed collects; asked for again, it catches up."""
    if settings.LIQUI_FEED not in COLLECTING_FEEDS:
        return
    try:
        updated = tickers_sync()
    except LiquiError as error:
        logger.error("24h volumes are not brought up to date", error=str(error))
        return
    logger.info("24h volumes are up to date", instruments=updated)
