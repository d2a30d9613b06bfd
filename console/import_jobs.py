"""Imports of uploaded files, by the same code as `manage.py import_liquidations`."""

from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import Error as DatabaseError

from console.jobs import JobFailed, Report, work_for
from console.models import Job
from console.texts import counted
from liquidations.importing.formats import ReadOptions
from liquidations.importing.rejects import RejectsFile
from liquidations.importing.run import Importer, ImportSummary
from liquidations.importing.sources import SourceFile
from liquidations.importing.values import required_decimal
from liquidations.services import orders_write

SHOWN_REASONS = 20
# The importing code speaks of options of the command; here they are fields of the form.
FIELDS = {"--symbol": "the symbol", "--contract-size": "the contract size"}


class JobProgress:
    """An import's progress, told to its job."""

    def __init__(self, report: Report, total: int) -> None:
        self.report, self.total = report, total

    def update(self, rows: int, done: int) -> None:
        self.report(done, self.total, f"{rows:,} lines read")

    def close(self) -> None:
        pass


@work_for("import")
def import_upload(job: Job, report: Report) -> dict[str, Any]:
    path = settings.LIQUI_HOME / "uploads" / Path(job.arguments["file"]).name
    if not path.is_file():
        raise JobFailed(
            "The uploaded file is not there. It is removed after a day; if it is younger, the Celery worker has "
            "another LIQUI_HOME than the web server: both need the same folder."
        )
    file = SourceFile(str(path), name=job.target)
    rejects = path.with_name(f"{path.name}.rejects.csv")
    with open(rejects, "w", encoding="utf-8", errors="backslashreplace", newline="") as out:
        importer = Importer(orders_write, RejectsFile(out), JobProgress(report, file.size or 0))
        try:
            importer.take_files([file], read_options(job.arguments), job.arguments["format"] or None)
        except DatabaseError as error:
            raise JobFailed(
                f"The database failed: {error}. {stored(importer.summary)} Import it again to go on."
            ) from error
    return concluded(importer.summary, rejects, report, file.size or 0)


def read_options(arguments: dict[str, Any]) -> ReadOptions:
    size = arguments["contract_size"]
    return ReadOptions("USDT", arguments["symbol"] or None, required_decimal(size, "contract size") if size else None)


def concluded(summary: ImportSummary, rejects: Path, report: Report, size: int) -> dict[str, Any]:
    """The job's result; raises `JobFailed` where the file gave nothing at all."""
    rejected = summary.rejected.total()
    faults = [in_words_of_the_form(reason) for _, reason in summary.bad]
    if faults and not summary.read:
        rejects.unlink()
        raise JobFailed(f"This file cannot be imported: {'; '.join(faults)}.")
    if not rejected:
        rejects.unlink()
    told = [stored(summary)]
    told += [f"{counted(rejected, 'line was', 'lines were')} rejected."] if rejected else []
    told += [f"The file could not be read to its end: {'; '.join(faults)}."] if faults else []
    report(size, size, " ".join(told))
    return {
        "amount": summary.inserted + summary.completed,
        "lines": summary.read,
        "inserted": summary.inserted,
        "completed": summary.completed,
        "known": summary.duplicates,
        "rejected": dict(summary.rejected.most_common(SHOWN_REASONS)),
        "skipped": dict(summary.skipped.most_common(SHOWN_REASONS)),
        "file": f"uploads/{rejects.name}" if rejected else "",
    }


def stored(summary: ImportSummary) -> str:
    known = summary.duplicates
    if known and not (summary.inserted or summary.completed):
        return f"Nothing new: all {known:,} orders were stored already."
    told = f"{summary.inserted:,} orders stored"
    told += f", {summary.completed:,} completed with their average price" if summary.completed else ""
    return f"{told}, {known:,} were stored already." if known else f"{told}."


def in_words_of_the_form(text: str) -> str:
    for option, field in FIELDS.items():
        text = text.replace(option, field)
    return text
