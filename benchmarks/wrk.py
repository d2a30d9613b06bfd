"""wrk, the load generator: many connections that ask without a pause, and the percentiles of what they wait."""

import os
import re
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.server import BenchmarkFailed
from tools import packages
from tools.servers import find_program

CONNECTIONS = 32
UNITS_MS = {"us": 0.001, "ms": 1.0, "s": 1000.0, "m": 60_000.0}
PERCENTILE = r"^\s+{}%\s+([\d.]+)(us|ms|s|m) *$"
ERRORS = re.compile(r"Socket errors: .*|Non-2xx or 3xx responses: \d+")
# A place in a path that gets another six digits in each request.
DIGITS = "@"
# "There is nothing" is an answer like any other in a list of paths, which wrk would count as an error.
SCRIPT = f"""
local paths, sent, thread = {{}}, 0, nil
for path in io.lines(os.getenv("WRK_PATHS")) do paths[#paths + 1] = path end
failed = 0
function setup(made) thread = made end
function request()
    sent = sent + 1
    local path = paths[sent % #paths + 1]:gsub("{DIGITS}", string.format("%06d", sent % 1000000))
    return wrk.format("GET", path)
end
function response(status)
    if status ~= 200 and status ~= 404 then failed = failed + 1 end
end
function done(summary)
    local failures = thread:get("failed") + summary.errors.connect + summary.errors.read + summary.errors.timeout
    print("Failed: " .. failures)
end
"""
FAILED = re.compile(r"^Failed: (\d+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Load:
    """What a server has borne: requests a second, and the times that half and all but a hundredth stayed below."""

    rate: float
    p50_ms: float
    p99_ms: float


def install() -> None:
    """Have wrk. Raises `PackagesMissing`."""
    if not find_program("wrk"):
        packages.install(["wrk"], "wrk is not installed")


def load_path(
    root: str, path: str, seconds: float, connections: int = CONNECTIONS, headers: Mapping[str, str] | None = None
) -> Load:
    """Ask for one path again and again. Raises `BenchmarkFailed` when an answer is not 200."""
    named = [argument for name, value in (headers or {}).items() for argument in ("-H", f"{name}: {value}")]
    return load([*named, f"{root}{path}"], seconds, connections, {})


def load_paths(root: str, paths: Path, seconds: float, connections: int = CONNECTIONS) -> Load:
    """Ask for the paths of a file, one a line, in turn."""
    script = paths.with_suffix(".lua")
    script.write_text(SCRIPT)
    return load(["-s", str(script), root], seconds, connections, {"WRK_PATHS": str(paths)})


def load(arguments: Sequence[str], seconds: float, connections: int, variables: Mapping[str, str]) -> Load:
    # One thread drives them all and leaves the other core to the server.
    options = ["-t1", f"-c{connections}", f"-d{max(round(seconds), 1)}s", "--timeout", "30s", "--latency"]
    done = subprocess.run(
        [find_program("wrk") or "wrk", *options, *arguments], env=os.environ | variables, capture_output=True, text=True
    )
    if done.returncode:
        raise BenchmarkFailed(f"wrk {' '.join(arguments)}:\n{done.stdout}{done.stderr}")
    return parse(done.stdout)


def parse(output: str) -> Load:
    """wrk's report. Raises `BenchmarkFailed` when some requests have failed or the report is another."""
    rate = re.search(r"^Requests/sec:\s+([\d.]+)$", output, re.MULTILINE)
    times = [re.search(PERCENTILE.format(percent), output, re.MULTILINE) for percent in (50, 99)]
    failed = FAILED.search(output)
    has_failed = failed[1] != "0" if failed else ERRORS.search(output)
    if has_failed or rate is None or None in times:
        raise BenchmarkFailed(f"wrk:\n{output}")
    p50, p99 = (float(time[1]) * UNITS_MS[time[2]] for time in times if time)
    return Load(float(rate[1]), p50, p99)
