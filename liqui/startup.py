"""What every process does first: refuse a faulty configuration, and say which one it runs with."""

import gc
import sys
from functools import cache

import structlog
from django.conf import settings

from liqui import __version__

logger = structlog.get_logger(__name__)


@cache
def prepare() -> None:
    """Refuses a faulty configuration, or logs the mode, once."""
    refuse_faults()
    tune_garbage_collection()
    logger.info(f"liqui {__version__} · {settings.ENVIRONMENT.describe()}")


def refuse_faults() -> None:
    """Ends the process (status 1) with one line for each fault of the configuration, if it has any."""
    problems = settings.ENVIRONMENT.problems
    for problem in problems:
        print(f"{problem.id}: {problem.message} {problem.hint}".rstrip(), file=sys.stderr)
    if problems:
        raise SystemExit(1)


def tune_garbage_collection() -> None:
    """One answer makes tens of thousands of tuples; with Python's defaults a quarter of its time went into looking at
    all of the program's objects again and again for cycles that it never makes."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 20, 20)
