"""`make bench` (`ARGS="--quick"`, `ARGS="--markdown"`): measures our answers beside the original's queries."""

import signal
import sys
from typing import NoReturn

from benchmarks.options import parse
from benchmarks.report import report_lines
from benchmarks.run import bench_run
from benchmarks.server import BenchmarkFailed
from tools.servers import ServerFailed, ServerMissing


def main(arguments: list[str]) -> int:
    options = parse(arguments)
    signal.signal(signal.SIGTERM, terminated)
    try:
        result = bench_run(options)
    except (BenchmarkFailed, ServerFailed, ServerMissing) as error:
        print(f"liqui: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    print("\n".join(report_lines(result)))
    return 0


def terminated(number: int, _frame: object) -> NoReturn:
    raise SystemExit(128 + number)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
