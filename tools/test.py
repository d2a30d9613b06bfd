"""Runs the tests: once on SQLite, once on MariaDB or MySQL with Redis, both at the same time.

    python -m tools.test [--backend all|sqlite|mysql] [--soak] [--coverage] [-- pytest's own arguments]

The servers are readied first, so that a missing one is known at once and not after the first half.
"""

import argparse
import contextlib
import os
import secrets
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO, NoReturn

from tools.backends import NoBackend, mysql_backend, redis_backend
from tools.environment import clean_environment
from tools.packages import PackagesMissing
from tools.servers import ServerFailed, ServerMissing

ROOT = Path(__file__).resolve().parents[1]
# pytest puts the tests' fixtures away after one SIGINT; whoever does not end then is killed.
PATIENCE_SECONDS = 30
SHOWN_EVERY_SECONDS = 0.5


def main(arguments: Sequence[str]) -> int:
    options = parse(arguments)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, interrupted)
    try:
        return run_backends(options)
    except (NoBackend, PackagesMissing, ServerFailed, ServerMissing) as error:
        print(f"liqui: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tools.test", description="Run the tests.")
    parser.add_argument("--backend", choices=["all", "sqlite", "mysql"], default="all")
    parser.add_argument("--soak", action="store_true", help="the long forms of the slow tests")
    parser.add_argument("--coverage", action="store_true", help="report the lines that no test runs")
    parser.add_argument("pytest", nargs="*")
    return parser.parse_args(arguments)


def interrupted(number: int, _frame: object) -> NoReturn:
    raise SystemExit(128 + number)


def run_backends(options: argparse.Namespace) -> int:
    with contextlib.ExitStack() as stack:
        home = stack.enter_context(tempfile.TemporaryDirectory(prefix="liqui-tests-", ignore_cleanup_errors=True))
        runs = {}
        if options.backend in ("all", "sqlite"):
            runs["SQLite"] = clean_environment(os.environ, f"{home}/sqlite")
        if options.backend in ("all", "mysql"):
            runs["MySQL/MariaDB and Redis"] = clean_environment(os.environ, f"{home}/mysql") | {
                "DATABASE_URL": stack.enter_context(mysql_backend(os.environ)),
                "REDIS_URL": stack.enter_context(redis_backend(os.environ)),
                "SECRET_KEY": secrets.token_urlsafe(50),
                "JWT_SECRET": secrets.token_urlsafe(50),
            }
        if options.coverage:
            subprocess.run([sys.executable, "-m", "coverage", "erase"], cwd=ROOT, check=True)
        codes = run_pytests(runs, Path(home), options)
    if options.coverage:
        report_coverage()
    for name, code in codes.items():
        if code:
            print(f"liqui: the tests on {name} did not pass (pytest's status {code})", file=sys.stderr)
    # pytest's 5, nothing collected, is a failure as well.
    return next((code for code in codes.values() if code), 0)


def run_pytests(runs: Mapping[str, dict[str, str]], home: Path, options: argparse.Namespace) -> dict[str, int]:
    """Run pytest on all backends at once, which halves the time on two cores; the exit status of each.

    The first one's output is left alone; what the next one has said meanwhile follows when that has ended.
    """
    codes: dict[str, int] = {}
    with contextlib.ExitStack() as stack:
        begun = []
        for name, environment in runs.items():
            output = None if not begun else stack.enter_context(open(home / f"{len(begun)}.log", "w+b"))
            process = stack.enter_context(pytest_running(environment, options, output))
            begun.append((name, process, output))
        for name, process, output in begun:
            print(f"\nliqui: tests on {name}", flush=True)
            codes[name] = process.wait() if output is None else followed(process, output)
    return codes


@contextlib.contextmanager
def pytest_running(
    environment: dict[str, str], options: argparse.Namespace, output: BinaryIO | None
) -> Iterator[subprocess.Popen[bytes]]:
    """pytest, with its output left alone or written to ``output``; ended in good order when we are."""
    Path(environment["LIQUI_HOME"]).mkdir()
    if options.soak:
        environment |= {"LIQUI_SOAK": "1"}
    python = [sys.executable, *(["-m", "coverage", "run"] if options.coverage else []), "-m", "pytest"]
    process = subprocess.Popen(
        [*python, *(["-m", "soak or slow"] if options.soak else []), *options.pytest],
        cwd=ROOT,
        env=environment,
        stdout=output,
        stderr=output,
        # A shell's background jobs ignore SIGINT and hand that on; pytest must hear ours.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    try:
        yield process
    except BaseException as error:
        end(process, told=isinstance(error, KeyboardInterrupt))
        raise


def followed(process: subprocess.Popen[bytes], output: BinaryIO) -> int:
    """Show what the process has written, and writes, to ``output`` until it ends; its exit status."""
    with open(output.name, "rb") as written:
        while True:
            code = process.poll()
            sys.stdout.buffer.write(written.read())
            sys.stdout.buffer.flush()
            if code is not None:
                return code
            time.sleep(SHOWN_EVERY_SECONDS)


def end(process: subprocess.Popen[bytes], *, told: bool) -> None:
    """Let pytest stop in good order. ``told``: Ctrl-C at a terminal has reached it as well."""
    with contextlib.suppress(subprocess.TimeoutExpired):
        if told:
            process.wait(5)
    if process.poll() is None:
        process.send_signal(signal.SIGINT)
    try:
        process.wait(PATIENCE_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def report_coverage() -> None:
    for command in (["combine", "--quiet"], ["report"]):
        subprocess.run([sys.executable, "-m", "coverage", *command], cwd=ROOT, check=False)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
