"""Celery tasks: thin, safe to run twice, and asked for by name from a second shell (`celery -A liqui call …`)."""

import time
from collections.abc import Mapping, Sequence

import structlog
from celery import shared_task
from django.conf import settings

from database.tasks import left_for_later
from liquidations.bars import (
    DAYS_AT_ONCE,
    bars_advance,
    bars_build,
    bars_rebuild,
    bars_status,
    stale_days_build,
)
from liquidations.caching import orders_changed_outside
from liquidations.domain import MAX_TIMESTAMP_MS
from liquidations.sample_fill import sample_fill
from liquidations.table import TableUnusable
from marketdata.clock import clock_ms

logger = structlog.get_logger(__name__)

WORKERS_AT_MOST = 32  # that a rebuild is split over


@shared_task(name="liquidations.build_bars")
@left_for_later(TableUnusable)
def build_bars() -> None:
    """Bring the bars up to date; beat asks for it every minute."""
    started = time.monotonic()
    days = bars_build()
    if days:
        logger.info("bars built", stale_days=days, seconds=round(time.monotonic() - started, 1))


@shared_task(name="liquidations.rebuild_bars")
@left_for_later(TableUnusable)
def rebuild_bars(symbol: str | None = None, start_ms: int = 0, end_ms: int = MAX_TIMESTAMP_MS) -> None:
    """Build bars again from the table, of one symbol or all, in [start_ms, end_ms), by all the workers there are."""
    bars_advance(clock_ms())
    days = bars_rebuild(symbol, start_ms, end_ms)
    # Whoever rebuilds does so because rows were changed behind our back.
    orders_changed_outside(symbol)
    for symbols in shares(days, WORKERS_AT_MOST):
        build_stale_days.delay(symbols)  # type: ignore[operator]  # celery's annotations have no tasks
    logger.info("bars are being rebuilt", symbols=len(days), days=sum(days.values()))


def shares(days: Mapping[str, int], parts: int) -> list[list[str]]:
    """Symbols dealt out to ``parts`` lists at the most; one with many days is in several, a month's worth for each."""
    months = [name for name, count in sorted(days.items()) for _ in range(0, count, DAYS_AT_ONCE)]
    return [months[first::parts] for first in range(min(parts, len(months)))]


@shared_task(name="liquidations.build_stale_days")
@left_for_later(TableUnusable)
def build_stale_days(symbols: Sequence[str]) -> None:
    """Build those stale days of the symbols that no other worker is at."""
    days = sum(stale_days_build(symbol) for symbol in dict.fromkeys(symbols))
    if days:
        logger.info("bars built", symbols=len(symbols), stale_days=days, still_stale=bars_status().stale_days)


@shared_task(name="liquidations.sample_fill")
@left_for_later(TableUnusable)
def fill_sample() -> None:
    """Add to the sample database what was "traded" since; does nothing with any other feed."""
    if settings.LIQUI_FEED == "sample":
        sample_fill(clock_ms())
