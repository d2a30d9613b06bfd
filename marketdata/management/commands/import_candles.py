"""``manage.py import_candles``: candles of the user's files into the table."""

from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import Error
from tqdm import tqdm

from accounts.audit import Outcome, record, shell_actor
from database.migrating import sqlite_migrate
from marketdata.candles.files import Rejected, files_find
from marketdata.candles.importing import Importer, Summary
from marketdata.names import symbol_checked
from marketdata.timeframes import TIMEFRAMES, moment

INTERRUPTED = 130  # what a shell reports of a program that Ctrl-C ended
MOST_SHOWN = 20  # lines that are rejected
MINUTES = "%Y-%m-%d %H:%M"


class Command(BaseCommand):
    help = (
        "Import candles from files and folders: the venue's archives (12 columns) and plain open_time,open,high,low,"
        "close,volume; .csv, .csv.gz and .zip, with a header or without. Times are s, ms or µs since 1970, told by "
        "their magnitude: s below 10^11, µs from 10^14 on. Candles that are not over yet are rejected. Importing twice "
        "changes nothing; where the table has all figures of a candle, a plain file does not replace it."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("paths", nargs="+", metavar="PATH")
        parser.add_argument("--symbol", help="of files whose name does not say it, as NEARUSDT-1m-2025-02.csv does")
        parser.add_argument("--timeframe", choices=TIMEFRAMES, help="of files whose name does not say it")

    def handle(self, *args: Any, paths: list[str], symbol: str | None, timeframe: str | None, **options: Any) -> None:
        self.shown = 0
        importer = Importer(symbol_read(symbol), timeframe, self.show_rejected)
        self.stdout.write(f"Writing to {settings.ENVIRONMENT.database_place}")
        outcome: Outcome = "failed"
        try:
            self.attempt(importer, paths)
            outcome = "failed" if importer.summary.is_nothing else "done"
        finally:
            summary = importer.summary
            self.stdout.write("\n".join(lines_of(summary)))
            actor, changed, rejected = shell_actor(), summary.changed, summary.rejected.total()
            record(actor, "candles.import", " ".join(paths), amount=changed, outcome=outcome, rejected=rejected)
        if summary.bad:
            raise CommandError(f"{len(summary.bad)} bad {'file' if len(summary.bad) == 1 else 'files'}, named above")
        if summary.is_nothing:
            raise CommandError("nothing was imported: all lines were rejected, for the reasons above")

    def attempt(self, importer: Importer, paths: list[str]) -> None:
        files = files_find(paths)
        total = sum(path.stat().st_size for path in files if path.is_file())
        try:
            sqlite_migrate()
            with tqdm(total=total, unit="B", unit_scale=True, disable=None, leave=False) as progress:
                importer.take(files, lambda done: progress.update(done - progress.n))
        except KeyboardInterrupt:
            raise CommandError("interrupted: run the same command again to go on", returncode=INTERRUPTED) from None
        except Error as error:
            raise CommandError(f"{settings.ENVIRONMENT.database_place}: {error}") from error

    def show_rejected(self, label: str, rejected: Rejected) -> None:
        self.shown += 1
        if self.shown <= MOST_SHOWN:
            self.stderr.write(f"{label}, line {rejected.line}: {rejected.reason}")
        elif self.shown == MOST_SHOWN + 1:
            self.stderr.write("Further rejected lines are counted below.")


def symbol_read(symbol: str | None) -> str | None:
    try:
        return None if symbol is None else symbol_checked(symbol)
    except ValueError as error:
        raise CommandError(f"--symbol: {error}") from error


def lines_of(summary: Summary) -> list[str]:
    return [
        *(
            f"{series.symbol} {series.timeframe}: {moment(span.start):{MINUTES}} to {moment(span.stop):{MINUTES}}"
            for series, span in summary.spans.items()
        ),
        f"{summary.changed:,} candles new or changed, {summary.unchanged:,} unchanged",
        *(f"{count:,} lines rejected: {reason}" for reason, count in summary.rejected.most_common()),
        *(f"{label}: {reason}" for label, reason in summary.bad),
    ]
