"""The table, for a terminal or as Markdown."""

from collections.abc import Sequence

from benchmarks.market import TOP_SYMBOL
from benchmarks.measure import Row, growth, original_growth
from benchmarks.run import Result

HEAD = ("work", "liqui", "original", "ratio", "must reach", "reached", "growth", "original's growth")
NONE = "–"


def report_lines(result: Result) -> list[str]:
    """The table with what is needed to read it."""
    small = {row.work: row for row in result.small}
    lines = [HEAD, *(cells(row, small.get(row.work)) for row in result.rows)]
    table = markdown(lines) if result.options.markdown else aligned(lines)
    return [*notes(result), "", *table]


def notes(result: Result) -> list[str]:
    options = result.options
    return [
        f"{options.rows:,} forced orders of 300 symbols in 365 days, read for {TOP_SYMBOL}. {result.description}.",
        "Medians. original: its queries on the same table, without HTTP and framework; ratio: how many times better we",
        f"are; growth: how many times longer {options.rows:,} rows take than {options.small_rows:,}.",
        f"The run took {result.minutes:.0f} minutes; before it began, {result.load:.1f} other programs wanted to run.",
    ]


def markdown(lines: Sequence[Sequence[str]]) -> list[str]:
    texts = [f"| {' | '.join(line)} |" for line in lines]
    return [texts[0], "|---|" + "---:|" * (len(lines[0]) - 1), *texts[1:]]


def aligned(lines: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return ["  ".join([line[0].ljust(widths[0]), *map(str.rjust, line[1:], widths[1:])]) for line in lines]


def cells(row: Row, small: Row | None) -> tuple[str, ...]:
    limit = "≥" if row.is_rate else "≤"
    return (
        row.work,
        quantity(row.ours, row.unit),
        quantity(row.original, row.unit) if row.original else NONE,
        f"{number(row.ratio)}×" if row.ratio else NONE,
        f"{limit} {quantity(row.goal, row.unit)}" if row.goal else NONE,
        {True: "yes", False: "NO", None: NONE}[row.is_reached],
        factor(growth(small, row) if small else None),
        factor(original_growth(small, row) if small else None),
    )


def factor(value: float | None) -> str:
    return f"{value:.1f}×" if value else NONE


def quantity(value: float, unit: str) -> str:
    return f"{number(value)} {unit}"


def number(value: float) -> str:
    """Three digits that count: "0.61", "21.3", "2 058", "412 000"."""
    if value < 100:
        return f"{value:.3g}"
    rounded = round(value, 2 - len(str(int(value))) + 1) if value >= 10_000 else round(value)
    return f"{int(rounded):,}".replace(",", " ")
