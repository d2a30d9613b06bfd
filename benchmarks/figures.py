"""A table of single figures, each with what it must reach."""

from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.report import NONE, aligned, markdown, quantity
from benchmarks.wrk import Load

HEAD = ("work", "measured", "p50", "p99", "must reach", "reached")


@dataclass(frozen=True, slots=True)
class Figure:
    """One line: more is better where there is a goal."""

    work: str
    value: float
    unit: str
    p50_ms: float | None = None
    p99_ms: float | None = None
    goal: float | None = None

    @property
    def is_reached(self) -> bool | None:
        return None if self.goal is None else self.value >= self.goal


def of_load(work: str, load: Load, goal: float | None = None) -> Figure:
    return Figure(work, load.rate, "requests/s", load.p50_ms, load.p99_ms, goal)


def figure_lines(figures: Sequence[Figure], *, is_markdown: bool) -> list[str]:
    lines = [HEAD, *map(cells, figures)]
    return markdown(lines) if is_markdown else aligned(lines)


def cells(figure: Figure) -> tuple[str, ...]:
    return (
        figure.work,
        quantity(figure.value, figure.unit).rstrip(),
        NONE if figure.p50_ms is None else quantity(figure.p50_ms, "ms"),
        NONE if figure.p99_ms is None else quantity(figure.p99_ms, "ms"),
        NONE if figure.goal is None else f"≥ {quantity(figure.goal, figure.unit)}".rstrip(),
        {True: "yes", False: "NO", None: NONE}[figure.is_reached],
    )
