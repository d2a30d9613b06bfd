"""Other processes and threads over the tests' own database."""

import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from django.db import connection

from tests.live import ROOT, server_environment, tests_database_url

JOIN_SECONDS = 60


def manage(home: Path, *arguments: str) -> subprocess.Popen[str]:
    """Start ``manage.py`` in a process of its own."""
    environment = server_environment(home) | {"DATABASE_URL": tests_database_url()}
    return subprocess.Popen(
        [sys.executable, "manage.py", *arguments],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def at_once(*jobs: Callable[[], object]) -> None:
    """Run the jobs in threads, each with a connection of its own, started together; raises what any of them raised."""
    start = threading.Barrier(len(jobs))
    errors: list[BaseException] = []

    def run(job: Callable[[], object]) -> None:
        try:
            start.wait()
            job()
        except BaseException as error:
            errors.append(error)
        finally:
            connection.close()

    threads: Sequence[threading.Thread] = [threading.Thread(target=run, args=[job], daemon=True) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(JOIN_SECONDS)
        assert not thread.is_alive(), "a job hangs"
    if errors:
        raise errors[0]
