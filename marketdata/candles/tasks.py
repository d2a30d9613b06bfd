"""Celery tasks of candles: thin, safe to run twice and at once."""

import random
from typing import Any

import structlog
from celery import shared_task

from database.tasks import left_for_later
from marketdata.candles.backfilling import candles_backfill
from marketdata.candles.keeping import candles_build
from marketdata.candles.repairing import candles_repair
from marketdata.errors import LiquiError, VenueRateLimited, VenueUnavailable

logger = structlog.get_logger(__name__)

RETRY_S = 30.0
SPREAD_S = 5.0  # over which parts that wait for the same minute come again, for each time that they have waited,
MOST_SPREAD_S = 600.0  # and at most


@shared_task(name="marketdata.build_candles")
@left_for_later()
def build_candles() -> None:
    """Bring the longer candles up to date; beat asks for it every minute."""
    if stretches := candles_build():
        logger.debug("candles rolled up", stretches=stretches)


@shared_task(name="marketdata.repair_candles")
@left_for_later()
def repair_candles(symbol: str | None = None, start_ms: int | None = None, end_ms: int | None = None) -> None:
    """Fill holes and replace marked minutes of symbols that are followed, or of one in [start_ms, end_ms)."""
    try:
        repair = candles_repair(symbol, start_ms, end_ms)
    except LiquiError as error:
        logger.warning(f"candles are repaired later: {error}")
        return
    if repair.minutes:
        logger.info("candles repaired", minutes=repair.minutes, stored=repair.stored)


# However often: of a long backfill most parts wait for their share of the venue's weight, and an outage may last.
@shared_task(name="marketdata.backfill_candles", bind=True, max_retries=None)
def backfill_candles(self: Any, symbol: str, timeframe: str, start_ms: int, end_ms: int) -> None:
    """Fetch what is missing in [start_ms, end_ms). A venue that wants to be left alone is; other work goes on."""
    try:
        stored = candles_backfill(symbol, timeframe, start_ms, end_ms)
    except VenueRateLimited as error:
        raise self.retry(exc=error, countdown=error.retry_after_s + spread_s(self.request.retries)) from error
    except VenueUnavailable as error:
        logger.warning(f"a backfill waits: {error}", symbol=symbol, timeframe=timeframe, start_ms=start_ms)
        raise self.retry(exc=error, countdown=RETRY_S + spread_s(self.request.retries)) from error
    except LiquiError as error:
        logger.error(f"a backfill has failed: {error}", symbol=symbol, timeframe=timeframe)
        return
    logger.info("candles backfilled", symbol=symbol, timeframe=timeframe, start_ms=start_ms, stored=stored)


def spread_s(retries: int) -> float:
    """Thousands of parts must not come all at once, to be sent away again."""
    return random.uniform(0, min(SPREAD_S * (retries + 1), MOST_SPREAD_S))
