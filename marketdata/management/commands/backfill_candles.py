"""``manage.py backfill_candles``: the past of symbols from the venue into the table."""

import time
from argparse import ArgumentParser
from collections.abc import Callable, Sequence
from typing import Any

from celery import current_app, group
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import Error
from tqdm import tqdm

from accounts.audit import record, shell_actor
from database.migrating import sqlite_migrate
from marketdata.candles.asking import Klines
from marketdata.candles.backfilling import backfill_parts, candles_backfill, patient_klines, source_timeframe
from marketdata.candles.gaps import candle_count
from marketdata.candles.keeping import candles_build
from marketdata.candles.queries import candles_stored
from marketdata.candles.tasks import backfill_candles
from marketdata.errors import LiquiError, VenueUnavailable
from marketdata.rest.times import parse_time_ms
from marketdata.timeframes import TIMEFRAMES, candle_close_ms
from marketdata.venues.binance import VENUE

INTERRUPTED = 130  # what a shell reports of a program that Ctrl-C ended
WORKER_S = 1.0  # that a worker has to say that it is there
LOOK_S = 1.0
STILL_S = 60.0  # without a new candle, after which nobody watches any more


class Command(BaseCommand):
    help = (
        "Fetch candles of symbols from the venue. What is stored already is not fetched again: after an interruption, "
        "run it again. Celery's workers share the work; without any, or when embedded, it is done here."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("symbols", nargs="+", metavar="SYMBOL")
        parser.add_argument("--timeframe", choices=TIMEFRAMES, default="1m")
        parser.add_argument("--since", required=True, help="ms or ISO 8601")
        parser.add_argument("--until", help="ms or ISO 8601, not included (default: up to now)")
        parser.add_argument("--here", action="store_true", help="in this process, although there are workers")

    def handle(self, *args: Any, symbols: list[str], timeframe: str, here: bool, **options: Any) -> None:
        symbols, fetched = [symbol.strip().upper() for symbol in symbols], source_timeframe(timeframe)
        try:
            sqlite_migrate()
            window = self.window(symbols[0], fetched, options)
            work = self.backfill_here if here or not has_workers() else self.backfill_by_workers
            work(symbols, fetched, window)
        except KeyboardInterrupt:
            raise CommandError("interrupted: run the same command again to go on", returncode=INTERRUPTED) from None
        except VenueUnavailable as error:
            raise CommandError(f"{error}. Run the same command again to go on.") from error
        except LiquiError as error:
            raise CommandError(str(error)) from error
        except Error as error:
            raise CommandError(f"{settings.ENVIRONMENT.database_place}: {error}") from error

    def window(self, symbol: str, timeframe: str, options: dict[str, Any]) -> range:
        try:
            start_ms = parse_time_ms(options["since"])
            end_ms = parse_time_ms(options["until"]) if options["until"] else self.newest_end_ms(symbol, timeframe)
        except ValueError as error:
            raise CommandError(f"--since and --until: {error}") from error
        if start_ms >= end_ms:
            raise CommandError("--since must be before --until, which is the newest candle where it is not given")
        return range(start_ms, end_ms)

    def newest_end_ms(self, symbol: str, timeframe: str) -> int:
        """When the venue's last closed candle is over; the venue may have another time than we."""
        newest = [candle for candle in waiting(self.stdout.write)(symbol, timeframe, limit=2) if candle.is_closed]
        if not newest:
            raise CommandError(f"{symbol}: the venue has no closed candle of {timeframe}")
        return candle_close_ms(timeframe, newest[-1].open_ms)

    def backfill_here(self, symbols: Sequence[str], timeframe: str, window: range) -> None:
        stored, total = 0, candle_count(timeframe, window.start, window.stop) * len(symbols)
        with tqdm(total=total, unit="candle", disable=None, leave=False) as progress:
            klines = waiting(progress.write)
            for symbol in symbols:
                progress.set_postfix_str(symbol, refresh=False)
                for part in backfill_parts(timeframe, window.start, window.stop):
                    stored += candles_backfill(
                        symbol, timeframe, part.start, part.stop, klines=klines, told=progress.update
                    )
                    candles_build()
        self.stdout.write(f"{stored:,} candles stored of {total:,}; the others were there, or the venue has none")
        self.note(symbols, timeframe, window, stored)

    def backfill_by_workers(self, symbols: Sequence[str], timeframe: str, window: range) -> None:
        parts = list(backfill_parts(timeframe, window.start, window.stop))
        tasks = [
            backfill_candles.s(symbol, timeframe, part.start, part.stop)  # type: ignore[attr-defined]
            for part in parts
            for symbol in symbols
        ]
        group(tasks).apply_async()
        self.note(symbols, timeframe, window, None)
        self.stdout.write(f"{len(tasks)} parts are with the workers. Ctrl-C ends the watching alone.")
        self.watch(symbols, timeframe, window)

    def watch(self, symbols: Sequence[str], timeframe: str, window: range) -> None:
        """Until all candles are there, or no new one has come for `STILL_S`."""
        total = candle_count(timeframe, window.start, window.stop) * len(symbols)
        seen, changed_at = -1, time.monotonic()
        with tqdm(total=total, unit="candle", disable=None, leave=False) as progress:
            while seen < total and time.monotonic() - changed_at < STILL_S:
                stored = sum(candles_stored(VENUE, symbol, timeframe, window.start, window.stop) for symbol in symbols)
                if stored > seen:
                    seen, changed_at = stored, time.monotonic()
                    progress.update(stored - progress.n)
                time.sleep(LOOK_S if stored < total else 0)
        self.stdout.write(f"{seen:,} candles of {total:,} are there")

    def note(self, symbols: Sequence[str], timeframe: str, window: range, stored: int | None) -> None:
        details = {"timeframe": timeframe, "since_ms": window.start, "until_ms": window.stop}
        record(shell_actor(), "candles.backfill", " ".join(symbols), amount=stored, **details)


def waiting(write: Callable[[str], object]) -> Klines:
    return patient_klines(lambda seconds, why: write(f"waiting {seconds:.0f} s: {why}"))


def has_workers() -> bool:
    if settings.CELERY_BROKER_URL.startswith("filesystem:"):
        return False
    return bool(current_app.control.ping(timeout=WORKER_S))  # type: ignore[attr-defined]
