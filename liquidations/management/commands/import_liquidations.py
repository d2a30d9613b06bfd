"""`manage.py import_liquidations`: forced orders from files, or from another liqui_api, into the user's table."""

from argparse import RawDescriptionHelpFormatter
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from decimal import Decimal
from io import StringIO
from typing import Any, TextIO

import httpx
from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError, connection

from accounts.audit import Outcome, record, shell_actor
from liquidations.domain import MAX_TIMESTAMP_MS, parse_timestamp_ms
from liquidations.importing.api import LiquiClient, take_over
from liquidations.importing.checkpoint import Checkpoint
from liquidations.importing.formats import FORMATS, ReadOptions
from liquidations.importing.outcomes import Rejected, SourceUnusable
from liquidations.importing.progress import progress_on
from liquidations.importing.rejects import RejectsFile
from liquidations.importing.run import Importer
from liquidations.importing.sources import files_find
from liquidations.importing.values import required_decimal
from liquidations.services import fault, orders_write
from liquidations.table import Column, table_profile
from liquidations.types import ForcedOrder, WriteResult

INTERRUPTED = 130  # what a shell reports of a program that Ctrl-C ended
FORMAT_HELP = "\n".join(f"  {format.name:<11}{format.description}" for format in FORMATS.values())


class Command(BaseCommand):
    help = f"""Import forced orders from files, folders and patterns, packed (.gz, .zip, .zst) or not, or "-".

Importing twice inserts nothing twice: interrupted, run the same command again. It writes to your own
database unless FEED in the environment says otherwise. The formats, recognised file by file:
{FORMAT_HELP}
"""

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        return super().create_parser(prog_name, subcommand, formatter_class=RawDescriptionHelpFormatter, **kwargs)

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("paths", nargs="*", metavar="PATH")
        parser.add_argument("--format", choices=list(FORMATS), help="read every file so, instead of recognising it")
        parser.add_argument("--quote", default="USDT", help="asset that short symbols lack (recorder; default USDT)")
        parser.add_argument(
            "--symbol",
            action="append",
            default=[],
            help="of archive files whose name does not say it; with --from-api, repeatable, the ones to fetch",
        )
        parser.add_argument(
            "--contract-size", metavar="USD", help="worth of one COIN-M contract (BTC 100, others 10): converts them"
        )
        parser.add_argument("--rejects", metavar="FILE", help="write rejected lines here: file,line,reason,text")
        parser.add_argument("--dry-run", action="store_true", help="read and check everything, write nothing")
        parser.add_argument(
            "--from-api",
            metavar="URL",
            help="take over from this liqui_api instead, e.g. http://host:8000/api. It lists its symbols without those "
            "that end in a digit (dated futures): name these with --symbol",
        )
        parser.add_argument("--since", metavar="TIME", help="with --from-api: ms or ISO 8601, inclusive")
        parser.add_argument("--until", metavar="TIME", help="with --from-api: ms or ISO 8601, inclusive")
        parser.add_argument("--restart", action="store_true", help="with --from-api: forget what a run before has done")

    def handle(self, *args: Any, **options: Any) -> None:
        check_combination(options)
        read_options = read_options_of(options)
        place = database_place()
        self.stdout.write(f"Checking for {place}, writing nothing" if options["dry_run"] else f"Writing to {place}")
        try:
            prepare_database(dry_run=options["dry_run"])
        except DatabaseError as error:
            raise CommandError(f"the database cannot be used: {error}") from error
        write = check_only if options["dry_run"] else orders_write
        with rejects_open(options["rejects"]) as rejects:
            importer = Importer(write, RejectsFile(rejects) if rejects else None)
            target = None if options["dry_run"] else without_login(options["from_api"]) or " ".join(options["paths"])
            if options["from_api"]:
                self.run(importer, lambda: self.import_api(importer, place, options), target)
            else:
                self.run(importer, lambda: self.import_files(importer, read_options, options), target)

    def run(self, importer: Importer, work: Callable[[], None], target: str | None) -> None:
        """Do the work, and whatever ends it, print and record what is committed. ``target`` None: nothing was."""
        outcome: Outcome = "failed"
        try:
            self.attempt(importer, work)
            outcome = "done"
        finally:
            if target is not None:
                summary = importer.summary
                actor, inserted, others = shell_actor(), summary.inserted, summary.duplicates
                record(actor, "import.run", target, amount=inserted, outcome=outcome, duplicates=others)

    def attempt(self, importer: Importer, work: Callable[[], None]) -> None:
        try:
            with importer.interrupts.watched():
                work()
        except KeyboardInterrupt:
            self.conclude(importer)
            raise CommandError(
                "interrupted; what is counted above is stored. Run the same command again to go on.",
                returncode=INTERRUPTED,
            ) from None
        except DatabaseError as error:
            self.conclude(importer)
            raise CommandError(f"the database failed: {error}. Run the same command again to go on.") from error
        self.conclude(importer)
        if bad := importer.summary.bad:
            raise CommandError(f"{len(bad)} bad {'source' if len(bad) == 1 else 'sources'}, named above")

    def conclude(self, importer: Importer) -> None:
        importer.progress.close()
        self.stdout.write("\n".join(importer.summary.lines()))

    def import_files(self, importer: Importer, read_options: ReadOptions, options: dict[str, Any]) -> None:
        files = list(files_find(options["paths"]))
        sizes = [file.size for file in files]
        total = None if None in sizes else sum(size or 0 for size in sizes)
        importer.progress = progress_on(self.stderr_stream, total, "B")
        importer.take_files(files, read_options, options["format"])

    def import_api(self, importer: Importer, place: str, options: dict[str, Any]) -> None:
        url = options["from_api"]
        with httpx.Client(headers={"User-Agent": "liqui", "Accept": "application/json"}) as http:
            try:
                client = LiquiClient(url, http)
                symbols = options["symbol"] or client.symbols()
            except SourceUnusable as fault:
                importer.name_bad(url, str(fault))
                return
            since_ms = time_of(options["since"], 0)
            until_ms = time_of(options["until"], MAX_TIMESTAMP_MS)
            checkpoint = Checkpoint(settings.LIQUI_HOME / "imports", client.base, place, since_ms, until_ms)
            if not options["restart"] and checkpoint.load():
                self.stdout.write(f"Going on where a run before was interrupted ({checkpoint.path})")
            importer.progress = progress_on(self.stderr_stream, len(symbols), "symbol")
            take_over(importer, client, symbols, checkpoint, remember=not options["dry_run"])

    @property
    def stderr_stream(self) -> TextIO:
        return self.stderr._out  # type: ignore[attr-defined]


def rejects_open(path: str | None) -> AbstractContextManager[TextIO | None]:
    if path is None:
        return nullcontext()
    try:
        return open(path, "w", encoding="utf-8", errors="backslashreplace", newline="")
    except OSError as error:
        raise CommandError(f"--rejects {path}: {error.strerror}") from error


def check_combination(options: dict[str, Any]) -> None:
    if bool(options["paths"]) == bool(options["from_api"]):
        raise CommandError("Name files to import, or a service with --from-api; one of the two.")
    if not options["from_api"] and len(options["symbol"]) > 1:
        raise CommandError("--symbol can be given several times with --from-api only.")
    if not options["from_api"] and (options["since"] or options["until"] or options["restart"]):
        raise CommandError("--since, --until and --restart belong to --from-api.")


def read_options_of(options: dict[str, Any]) -> ReadOptions:
    symbol = options["symbol"][0] if options["symbol"] else None
    return ReadOptions(options["quote"].strip().upper(), symbol, contract_size_of(options["contract_size"]))


def contract_size_of(text: str | None) -> Decimal | None:
    try:
        size = None if text is None else required_decimal(text, "--contract-size")
    except Rejected as rejected:
        raise CommandError(rejected.reason) from None
    if size == 0:
        raise CommandError("--contract-size: must be above 0")
    return size


def time_of(text: str | None, default_ms: int) -> int:
    try:
        return default_ms if text is None else max(parse_timestamp_ms(text), 0)
    except (ValueError, OverflowError):
        raise CommandError(f"{text!r} is neither Unix milliseconds nor an ISO 8601 time") from None


def without_login(url: str | None) -> str:
    """The address as it may be kept."""
    try:
        return str(httpx.URL(url).copy_with(username=None, password=None)) if url else ""
    except httpx.InvalidURL:
        return "an address that is none"


def database_place() -> str:
    """The database in one line, as the user knows it, without secrets."""
    config = connection.settings_dict
    if connection.vendor == "sqlite":
        return f"SQLite {config['NAME']}, table {settings.DB_LIQ_TABLENAME}"
    return f"MySQL {config['HOST']}:{config['PORT']}/{config['NAME']}, table {settings.DB_LIQ_TABLENAME}"


def prepare_database(*, dry_run: bool) -> None:
    """Make the tables of a SQLite file, which is ours: an import may well come before the first ``make run``.

    On a server the user decides: without its table the import says so.
    """
    if connection.vendor == "sqlite" and not dry_run:
        call_command("migrate", interactive=False, verbosity=0)
        call_command("liquidations_table", "--create", stdout=StringIO())


def check_only(orders: Sequence[ForcedOrder]) -> WriteResult:
    """Stands for `orders_write` in a dry run: rejects what the table could not hold, where there is a table to ask."""
    columns = table_columns()
    reasons = [fault(order, columns) if columns else None for order in orders]
    return WriteResult(rejected=[(position, reason) for position, reason in enumerate(reasons) if reason])


def table_columns() -> Sequence[Column] | None:
    try:
        return table_profile().bounds
    except DatabaseError:
        return None
