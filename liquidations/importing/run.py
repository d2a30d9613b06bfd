"""The loop of an import: batches of orders to the writer, everything counted once, bad files named."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from liquidations.importing.formats import ReadOptions, records_of
from liquidations.importing.interrupts import Interrupts
from liquidations.importing.outcomes import Record, Records, Rejected, Skipped, SourceUnusable
from liquidations.importing.progress import Progress, Silence
from liquidations.importing.sources import Source, SourceFile
from liquidations.types import ForcedOrder, WriteResult

BATCH_ROWS = 4000
MAX_REASONS = 100  # different ones that a summary tells apart

Writer = Callable[[Sequence[ForcedOrder]], WriteResult]
OnReject = Callable[[str, Record, str], None]  # source, record, reason


@dataclass
class ImportSummary:
    """What became of every line: ``read`` is the sum of all others but ``bad``."""

    read: int = 0
    inserted: int = 0
    completed: int = 0
    duplicates: int = 0
    rejected: Counter[str] = field(default_factory=Counter)
    skipped: Counter[str] = field(default_factory=Counter)
    bad: list[tuple[str, str]] = field(default_factory=list)  # source and reason

    def lines(self) -> list[str]:
        """The summary as it is printed."""
        rejected, skipped = self.rejected.total(), self.skipped.total()
        lines = [
            f"read       {self.read:>12,}",
            f"inserted   {self.inserted:>12,}",
            f"completed  {self.completed:>12,}  (known orders whose average price was missing)",
            f"duplicates {self.duplicates:>12,}",
            f"rejected   {rejected:>12,}",
            *(f"  {count:>12,}  {reason}" for reason, count in self.rejected.most_common()),
        ]
        if skipped:
            lines += [f"skipped    {skipped:>12,}"]
            lines += [f"  {count:>12,}  {reason}" for reason, count in self.skipped.most_common()]
        return lines + [f"bad: {source}: {reason}" for source, reason in self.bad]


class Importer:
    """Feeds records to a writer and keeps the summary, which is true at any moment for what is committed."""

    def __init__(
        self, write: Writer, on_reject: OnReject | None = None, progress: Progress | None = None,
        batch_rows: int = BATCH_ROWS,
    ) -> None:  # fmt: skip
        self.write = write
        self.on_reject = on_reject
        self.progress = progress or Silence()
        self.batch_rows = batch_rows
        self.summary = ImportSummary()
        self.interrupts = Interrupts()

    def take_files(self, files: Iterable[SourceFile], options: ReadOptions, format_name: str | None = None) -> None:
        """Import every file. A bad one is named in the summary, and what it gave before its fault stays."""
        done_bytes = 0
        for file in files:
            try:
                for source in file.sources():
                    self.take_source(source, options, format_name, lambda: done_bytes + file.position())  # noqa: B023
            except SourceUnusable as fault:
                self.name_bad(file.label, str(fault))
            done_bytes += file.size or 0

    def take_source(
        self, source: Source, options: ReadOptions, format_name: str | None, done: Callable[[], int]
    ) -> None:
        try:
            self.take(source.label, records_of(source, options, format_name), done)
        except SourceUnusable as fault:
            self.name_bad(source.label, str(fault))

    def take(self, label: str, records: Records, done: Callable[[], int]) -> None:
        """Import one stream of records; also when it breaks off, what came before is written."""
        batch: list[Record] = []
        try:
            for record in records:
                batch.append(record)
                if len(batch) == self.batch_rows:
                    self.settle(label, batch, done)
                    batch = []
        except SourceUnusable as fault:
            self.name_bad(label, str(fault))
        self.settle(label, batch, done)

    def settle(self, label: str, batch: Sequence[Record], done: Callable[[], int]) -> None:
        """Write the orders of a batch, then count all of it: an error of the writer leaves the summary true."""
        orders = [record for record in batch if type(record.outcome) is ForcedOrder]
        if orders:
            with self.interrupts.deferred():
                self.count_written(label, orders, self.write([record.outcome for record in orders]))  # type: ignore[misc]
        for record in batch:
            if isinstance(record.outcome, Rejected):
                self.reject(label, record, record.outcome.reason)
                if record.outcome.spoils_file:
                    self.name_bad(label, record.outcome.reason)
            elif isinstance(record.outcome, Skipped):
                self.summary.skipped[record.outcome.reason] += 1
        self.summary.read += len(batch)
        self.progress.update(self.summary.read, done())

    def count_written(self, label: str, orders: Sequence[Record], result: WriteResult) -> None:
        self.summary.inserted += result.inserted
        self.summary.completed += result.completed
        self.summary.duplicates += result.duplicates
        for position, reason in result.rejected:
            self.reject(label, orders[position], reason)

    def reject(self, label: str, record: Record, reason: str) -> None:
        # The database's reasons may hold values: there must be an end to telling them apart.
        known = reason in self.summary.rejected or len(self.summary.rejected) < MAX_REASONS
        self.summary.rejected[reason if known else "for other reasons"] += 1
        if self.on_reject:
            self.on_reject(label, record, reason)

    def name_bad(self, label: str, reason: str) -> None:
        if (label, reason) not in self.summary.bad:
            self.summary.bad.append((label, reason))
