"""The file of rejected lines: what was not taken, where it stands and why."""

import csv
from typing import TextIO

from liquidations.importing.outcomes import Record
from liquidations.rendering import csv_cell


class RejectsFile:
    """Writes each rejected line with its place and reason; none of it is a formula to a spreadsheet."""

    def __init__(self, file: TextIO) -> None:
        self.rows = csv.writer(file)
        self.rows.writerow(("file", "line", "reason", "text"))

    def __call__(self, label: str, record: Record, reason: str) -> None:
        text = record.text.decode("utf-8", "backslashreplace")
        self.rows.writerow((csv_cell(label), record.line, csv_cell(reason), csv_cell(text)))
