"""Rows of comma-separated text."""

import csv
from collections.abc import Callable, Iterator

from liquidations.importing.outcomes import MAX_TEXT_BYTES, Line, Outcome, Record, Records, Rejected


def cells_of(line: bytes) -> list[str]:
    """The cells of one line; quoted ones may hold commas, but no line feeds. Raises `Rejected`."""
    try:
        text = line.decode().rstrip("\r")
    except UnicodeDecodeError:
        raise Rejected("text: not UTF-8") from None
    if '"' not in text:
        return text.split(",")
    try:
        return next(csv.reader([text], skipinitialspace=True), [])
    except csv.Error:
        raise Rejected("layout: wrongly quoted") from None


def read_rows(lines: Iterator[Line], parse: Callable[[bytes], Outcome]) -> Records:
    """``parse`` on every line that is not blank; its `Rejected` becomes the outcome."""
    for number, line in lines:
        try:
            outcome = parse(line)
        except Rejected as rejected:
            if not line.strip():
                continue
            outcome = rejected
        yield Record(number, line[:MAX_TEXT_BYTES], outcome)


def head_rows(head: bytes, count: int = 50) -> Iterator[list[str]]:
    """Cells of the first lines, those that are text: enough to recognise a layout, whatever garbage precedes it."""
    for line in head.split(b"\n", count)[:count]:
        try:
            yield cells_of(line)
        except Rejected:
            continue
