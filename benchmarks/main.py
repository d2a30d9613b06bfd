"""What the programs of this package share: how they end."""

import signal
import sys
from collections.abc import Callable, Sequence
from typing import NoReturn

from benchmarks.server import BenchmarkFailed
from tools.packages import PackagesMissing
from tools.servers import ServerFailed, ServerMissing


def run(main: Callable[[Sequence[str]], int], arguments: Sequence[str]) -> int:
    """``main``'s status; what cannot be measured is said in one line."""
    signal.signal(signal.SIGTERM, terminated)
    try:
        return main(arguments)
    except (BenchmarkFailed, PackagesMissing, ServerFailed, ServerMissing) as error:
        print(f"liqui: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def terminated(number: int, _frame: object) -> NoReturn:
    raise SystemExit(128 + number)
