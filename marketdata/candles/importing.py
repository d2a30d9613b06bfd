"""The loop of an import: candles of files into the table, everything counted once, what is bad named."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

from marketdata.candles.files import (
    CandleFile,
    Line,
    Rejected,
    Series,
    Unusable,
    candles_of,
    series_of,
)
from marketdata.candles.services import candle_upsert
from marketdata.clock import clock_ms
from marketdata.names import symbol_checked
from marketdata.services import instrument_note
from marketdata.types import Candle
from marketdata.venues.binance import VENUE

BATCH = 5000
MOST_REASONS = 100

Told = Callable[[int], object]  # of bytes read


@dataclass(slots=True)
class Summary:
    """``changed``: candles that are new, or have changed what was there. ``bad``: files without candles or that cannot
    be read, and why.
    """

    changed: int = 0
    unchanged: int = 0
    rejected: Counter[str] = field(default_factory=Counter)
    bad: list[tuple[str, str]] = field(default_factory=list)
    spans: dict[Series, range] = field(default_factory=dict)  # from the first opening to the last

    @property
    def is_nothing(self) -> bool:
        """No candle was in it, not even one that is stored already."""
        return not self.changed and not self.unchanged

    def took(self, series: Series, candles: list[Candle], changed: int) -> None:
        self.changed += changed
        self.unchanged += len(candles) - changed
        opens = [candle.open_ms for candle in candles]
        if span := self.spans.get(series):
            opens += [span.start, span.stop]
        self.spans[series] = range(min(opens), max(opens))


class Importer:
    """``symbol`` and ``timeframe`` are those of files whose names do not say them. ``on_reject`` is told of file and
    line. What is over when it is made counts as a candle.
    """

    def __init__(
        self,
        symbol: str | None = None,
        timeframe: str | None = None,
        on_reject: Callable[[str, Rejected], object] = lambda label, rejected: None,
    ) -> None:
        self.symbol, self.timeframe, self.on_reject = symbol, timeframe, on_reject
        self.summary = Summary()
        self.now_ms = clock_ms()

    def take(self, paths: Iterable[Path], told: Told = lambda done: None) -> None:
        done = 0
        for path in paths:
            file = CandleFile(path)
            self.take_file(file, lambda read, before=done: told(before + read))
            done += file.size
            told(done)

    def take_file(self, file: CandleFile, told: Told) -> None:
        label = str(file.path)
        try:
            for name, lines in file.tables():
                label = str(file.path) if name == file.path.name else f"{file.path}:{name}"
                self.take_table(label, self.series(name, file.path.name), lines, lambda: told(file.position()))
        except Unusable as error:
            self.summary.bad.append((label, str(error)))

    def series(self, *names: str) -> Series:
        said = next((found for name in names if (found := series_of(name))), None)
        series = Series(self.symbol or (said and said.symbol) or "", self.timeframe or (said and said.timeframe) or "")
        if not series.symbol or not series.timeframe:
            raise Unusable("its name does not say symbol and timeframe: name them with --symbol and --timeframe")
        if said and said != series:
            # Minutes taken for longer candles would be stored as such without a word.
            names = f"{said.symbol} {said.timeframe}", f"{series.symbol} {series.timeframe}"
            raise Unusable(f"its name says {names[0]} and the options {names[1]}: rename it if that is right")
        try:
            symbol_checked(series.symbol)
        except ValueError as error:
            raise Unusable(str(error)) from error
        return series

    def take_table(self, label: str, series: Series, lines: Iterator[Line], read: Callable[[], object]) -> None:
        is_empty = True
        for batch in batches(candles_of(lines, series, self.now_ms)):
            is_empty = is_empty and not batch
            # Of two lines of one time the last one counts, or a second import would change what the first has stored.
            candles = list({outcome.open_ms: outcome for outcome in batch if isinstance(outcome, Candle)}.values())
            if candles:
                self.summary.took(series, candles, candle_upsert(candles))
                instrument_note(VENUE, series.symbol, prices_of(candles))
            for outcome in batch:
                if isinstance(outcome, Rejected):
                    self.reject(label, outcome)
            read()
        if is_empty:
            self.summary.bad.append((label, "holds no line of a candle"))

    def reject(self, label: str, rejected: Rejected) -> None:
        known = rejected.reason in self.summary.rejected or len(self.summary.rejected) < MOST_REASONS
        self.summary.rejected[rejected.reason if known else "for other reasons"] += 1
        self.on_reject(label, rejected)


def prices_of(candles: Iterable[Candle]) -> Iterator[Decimal]:
    for candle in candles:
        yield from (candle.open, candle.high, candle.low, candle.close)


def batches(outcomes: Iterator[Candle | Rejected]) -> Iterator[list[Candle | Rejected]]:
    """What is read before a file cannot be read any further is given first."""
    batch: list[Candle | Rejected] = []
    try:
        for outcome in outcomes:
            batch.append(outcome)
            if len(batch) == BATCH:
                yield batch
                batch = []
    except Unusable:
        yield batch
        raise
    yield batch
