"""The Celery app: ``celery -A liqui worker|beat|call``. Settings are Django's, with the prefix CELERY."""

import os
from typing import Any

from celery import Celery
from celery.signals import beat_init, celeryd_init, setup_logging, worker_ready
from django.conf import settings

from liqui.settings.feeds import COLLECTED_FEEDS

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "liqui.settings")

app = Celery("liqui")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


def periodic(task: str, every_s: int) -> dict[str, Any]:
    return {"task": task, "schedule": every_s}


app.conf.beat_schedule = {
    "build-bars": periodic("liquidations.build_bars", 60),
    "build-candles": periodic("marketdata.build_candles", 60),
    "warm-cache": periodic("cachemgmt.warm", 300),
    "count-cache": periodic("cachemgmt.count", 60),
    "sample-figures": periodic("console.sample", 30),
    "remove-expired": periodic("accounts.remove_expired", 3600),
    "remove-uploads": periodic("console.remove_uploads", 3600),
}
OF_COLLECTED_FEEDS = {
    "prune-outbox": periodic("streams.prune_outbox", 3600),
    "repair-candles": periodic("marketdata.repair_candles", 60),
    "sync-instruments": periodic("marketdata.sync_instruments", 3600),
    "sync-tickers": periodic("marketdata.sync_tickers", 300),
}
OF_SAMPLE = {"sample-fill": periodic("liquidations.sample_fill", 60)}
if settings.LIQUI_FEED in COLLECTED_FEEDS:
    app.conf.beat_schedule |= OF_COLLECTED_FEEDS
if settings.LIQUI_FEED == "sample":
    app.conf.beat_schedule |= OF_SAMPLE
# Their rows may be in the database: see `liqui.beat`.
app.conf.beat_entries_of_other_feeds = (OF_COLLECTED_FEEDS | OF_SAMPLE).keys() - app.conf.beat_schedule.keys()


@setup_logging.connect
def keep_logging(**kwargs: Any) -> None:
    """Django has configured logging; a receiver of this signal is what keeps Celery from doing it again."""


@celeryd_init.connect
@beat_init.connect
def announce(**kwargs: Any) -> None:
    """``celery worker`` and ``celery beat`` check and print the configuration like every other process."""
    import django

    from liqui import startup

    # Logging first: Celery sets Django up only later, when it imports the tasks.
    django.setup()
    startup.prepare()


@worker_ready.connect
def begin_at_once(**kwargs: Any) -> None:
    """Whoever restarts everything finds the cache warm, and a sign of life in the console before beat's first one."""
    # Of several workers' tasks one does the work.
    app.send_task("cachemgmt.warm", expires=300)
    app.send_task("console.sample", expires=30)
