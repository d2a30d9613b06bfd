"""What a server imports is what its requirements install: the tests themselves run with more than that."""

import os
import subprocess
import sys
from importlib.metadata import packages_distributions, requires
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tools.environment import clean_environment
from tools.servers import ROOT

# Every program of ours, with the parts that Celery and kombu load by name when they start, without ``sys.argv[1:]``.
PROGRAMS = """
import sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in sys.argv[1:]:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Absent())
import liqui.wsgi, liqui.asgi, liqui.celery
import celery.apps.beat, celery.apps.worker, celery.bin.celery, celery.concurrency.prefork, celery.concurrency.thread
import kombu.transport.filesystem, kombu.transport.redis
import uvicorn, uvloop, httptools
"""


def listed(name: str) -> set[tuple[str, str]]:
    """(distribution, extra) of a file of requirements and those that it names."""
    found: set[tuple[str, str]] = set()
    for line in (ROOT / "requirements" / name).read_text().splitlines():
        if line.startswith("-r "):
            found |= listed(line[3:])
        elif line and line[0] not in "#-":
            found |= distributions(Requirement(line))
    return found


def distributions(requirement: Requirement) -> set[tuple[str, str]]:
    return {(canonicalize_name(requirement.name), extra) for extra in ("", *requirement.extras)}


def closure(name: str) -> set[str]:
    """All distributions that installing this file brings here."""
    known: set[tuple[str, str]] = set()
    new = listed(name)
    while new:
        known |= new
        wanted = [
            requirement
            for distribution, extra in new
            for requirement in map(Requirement, requires(distribution) or ())
            if requirement.marker is None or requirement.marker.evaluate({"extra": extra})
        ]
        new = {pair for requirement in wanted for pair in distributions(requirement)} - known
    return {distribution for distribution, _ in known}


def test_every_program_starts_with_what_its_requirements_install(tmp_path: Path) -> None:
    installed = closure("base.txt")
    absent = [
        module
        for module, owners in packages_distributions().items()
        if not installed.intersection(map(canonicalize_name, owners))
    ]
    assert "pytest" in absent
    done = subprocess.run(
        [sys.executable, "-c", PROGRAMS, *absent],
        cwd=ROOT,
        env=clean_environment(os.environ, str(tmp_path)),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
