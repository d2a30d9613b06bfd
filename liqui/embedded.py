"""Celery's worker and beat as threads of the web process, for `manage.py serve`."""

import shutil
import threading
import time
import warnings
from contextlib import suppress
from pathlib import Path
from typing import Any

import structlog
from celery import beat
from celery.platforms import SecurityWarning
from celery.worker import state
from django.conf import settings

from liqui.celery import app

logger = structlog.get_logger(__name__)

CONCURRENCY = 2
RESTART_DELAY_S = 1


class EmbeddedCelery:
    """One worker and one beat, both in daemon threads: what has not ended in time ends with the process."""

    def __init__(self) -> None:
        self.stopping = threading.Event()
        self.worker_thread = threading.Thread(target=self.keep_running, args=(self.run_worker,), daemon=True)
        self.beat_thread = threading.Thread(target=self.keep_running, args=(self.run_beat,), daemon=True)
        self.beat: Any = None

    def start(self) -> None:
        remove_stale_files(settings.LIQUI_HOME / "celery")
        self.worker_thread.start()
        self.beat_thread.start()

    def keep_running(self, run: Any) -> None:
        """Calls ``run`` again whenever it ends: a message that cannot be read stops a worker for good."""
        while not self.stopping.is_set():
            try:
                run()
            except Exception:
                logger.exception("Celery stopped in this process and is started again")
            self.stopping.wait(RESTART_DELAY_S)

    def run_worker(self) -> None:
        # Celery warns workers that run as root of pickled code in messages; ours take JSON alone.
        warnings.filterwarnings("ignore", category=SecurityWarning)
        # No neighbours to talk to: without gossip, mingle and heartbeats nothing is sent while nothing is done.
        worker = app.Worker(
            pool="threads",
            concurrency=CONCURRENCY,
            quiet=True,
            without_gossip=True,
            without_mingle=True,
            without_heartbeat=True,
        )
        if not self.stopping.is_set():
            worker.start()

    def run_beat(self) -> None:
        # It sleeps this long (seconds) before it looks whether it should stop.
        self.beat = beat.Service(app, max_interval=1, scheduler_cls=app.conf.beat_scheduler)
        if not self.stopping.is_set():
            self.beat.start(embedded_process=False)

    def stop(self) -> None:
        """Asks both to end; tasks that are running may finish."""
        self.stopping.set()
        # The worker looks at this flag between messages; its own `stop` is for its own thread.
        state.should_stop = 0
        if self.beat is not None:
            self.beat.stop()

    def finish(self, seconds: float) -> None:
        """Waits for tasks that are running; those that have not ended in time go back to the queue, to run again."""
        deadline = time.monotonic() + seconds
        # Not for the threads: an idle worker may sit in its queue's poll for four seconds more.
        while state.reserved_requests and time.monotonic() < deadline:
            time.sleep(0.02)
        for request in list(state.reserved_requests):
            with suppress(Exception):
                request.reject(requeue=True)


def remove_stale_files(folder: Path) -> None:
    """Forget what a killed process left of its bookkeeping; tasks that wait to be run are kept."""
    shutil.rmtree(folder / "control", ignore_errors=True)
    for path in (folder / "queue").glob("*.msg"):
        # Replies and control messages belong to processes that are gone.
        if not path.name.endswith(f".{app.conf.task_default_queue}.msg"):
            path.unlink(missing_ok=True)
