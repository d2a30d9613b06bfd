"""`make bench` (`ARGS="--quick"`, `ARGS="--markdown"`): measures our answers beside the original's queries."""

import sys
from collections.abc import Sequence

from benchmarks.main import run
from benchmarks.options import parse
from benchmarks.report import report_lines
from benchmarks.run import bench_run


def main(arguments: Sequence[str]) -> int:
    print("\n".join(report_lines(bench_run(parse(arguments)))))
    return 0


if __name__ == "__main__":
    sys.exit(run(main, sys.argv[1:]))
