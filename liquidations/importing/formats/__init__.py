"""The formats of forced orders, one module each, and which of them a file has."""

from collections.abc import Callable
from dataclasses import dataclass

from liquidations.importing.formats import export, force_order, headed, recorder, recording
from liquidations.importing.formats.options import ReadOptions
from liquidations.importing.outcomes import Records, SourceUnusable
from liquidations.importing.sources import Source


@dataclass(frozen=True, slots=True)
class Format:
    name: str
    description: str
    recognises: Callable[[Source], bool]
    read: Callable[[Source, ReadOptions], Records]


# The first one that recognises a file reads it.
FORMATS = {
    format.name: format
    for format in (
        Format(
            "archive",
            "Binance's liquidationSnapshot CSV; the symbol is in the file's name",
            headed.recognises_archive,
            headed.read_archive,
        ),
        Format(
            "headed",
            "CSV with a header, times in ms or ISO with an offset, or our table's columns",
            headed.recognises,
            headed.read,
        ),
        Format("recorder", "12-column CSV without a header, short symbols", recorder.recognises, recorder.read),
        Format(
            "recording",
            "our own recordings of raw frames (manage.py record)",
            recording.recognises,
            recording.read,
        ),
        Format("export", "our own exports: NDJSON of the stream, JSON of the orders", export.recognises, export.read),
        Format("forceorder", "forceOrder messages, one JSON object per line", force_order.recognises, force_order.read),
    )
}


def records_of(source: Source, options: ReadOptions, format_name: str | None = None) -> Records:
    """The records of a source, read by the format named, or else by the one recognised. Raises `SourceUnusable`."""
    if not source.head.strip():
        return iter(())  # an export of nothing is empty
    if format_name:
        return FORMATS[format_name].read(source, options)
    for format in FORMATS.values():
        if format.recognises(source):
            return format.read(source, options)
    raise SourceUnusable(f"its format is not recognised (known: {', '.join(FORMATS)})")
