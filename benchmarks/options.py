"""The command line of `make bench`."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.works import Effort

ROWS = 5_000_000
LEAST_ROWS = 250_000  # fewer, and the smaller table has no page 50
GROWTH = 5  # the smaller table has so many times fewer rows
THOROUGH = Effort(repeats=11, original_seconds=20, downloads=3)
QUICK = Effort(repeats=3, original_seconds=2, downloads=1)


@dataclass(frozen=True, slots=True)
class Options:
    """What is asked for."""

    rows: int
    import_rows: int
    effort: Effort
    markdown: bool

    @property
    def small_rows(self) -> int:
        return self.rows // GROWTH


def parse(arguments: Sequence[str]) -> Options:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--rows", type=int, help=f"orders of the table (default {ROWS:,}; --quick: {LEAST_ROWS:,})")
    parser.add_argument("--quick", action="store_true", help="a short try; its numbers mean little")
    parser.add_argument("--markdown", action="store_true", help="print it ready for docs/performance.md")
    parsed = parser.parse_args(arguments)
    rows = parsed.rows or (LEAST_ROWS if parsed.quick else ROWS)
    if rows < LEAST_ROWS:
        parser.error(f"--rows: at least {LEAST_ROWS}")
    return Options(
        rows=rows,
        import_rows=50_000 if parsed.quick else 500_000,
        effort=QUICK if parsed.quick else THOROUGH,
        markdown=parsed.markdown,
    )
