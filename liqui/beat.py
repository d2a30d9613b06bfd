"""When periodic tasks run: what beat reads from the database, where administrators change it in the console.

The entries of `liqui.celery` are put there once; from then on their interval and their switch are the administrator's.
Beat outlives the database: it goes on with what it knows, and begins when the database is there.
"""

import time
from typing import Any

import structlog
from django.db import Error, connection
from django_celery_beat import schedulers
from django_celery_beat.models import IntervalSchedule, PeriodicTask, PeriodicTasks

logger = structlog.get_logger(__name__)

LOOK_S = 5  # how often the database is asked whether somebody has changed something
PERIODS = ((86_400, "days"), (3600, "hours"), (60, "minutes"), (1, "seconds"))
WHOLE_S = 300  # crontabs of the next hours only are read, so now and then the whole is read again


class Entry(schedulers.ModelEntry):
    """One task's row."""

    def __init__(self, model: Any, app: Any = None) -> None:
        super().__init__(model, app)
        if model.interval_id and "expires" not in self.options:
            # What piled up while no worker ran would only do the same work again and again.
            self.options["expires"] = self.schedule.run_every.total_seconds()

    def save(self) -> None:
        """What beat knows alone: written by itself, an administrator may be changing the rest."""
        rows = PeriodicTask.objects.filter(pk=self.model.pk, enabled=True)
        rows.update(last_run_at=self.model.last_run_at, total_run_count=self.model.total_run_count)


class Scheduler(schedulers.DatabaseScheduler):
    """Looks every `LOOK_S` and keeps no connection in between: there may be no more than MAX_CONNECTIONS."""

    Entry = Entry

    def setup_schedule(self) -> None:
        self._schedule: dict[str, Entry] = {}
        self.looked_at = self.read_at = float("-inf")
        self.has_entries = False
        self.last_change: Any = None
        self.fault = ""

    @property
    def schedule(self) -> dict[str, Entry]:
        if time.monotonic() - self.looked_at >= LOOK_S:
            self.look()
            self.looked_at = time.monotonic()
        return self._schedule

    def look(self) -> None:
        """Take up what has changed. While the database is away nothing has; said once."""
        try:
            self.take_up()
            self.fault = ""
        except Error as error:
            if str(error) != self.fault:
                self.fault = str(error)
                logger.error(f"periodic tasks cannot be read, beat goes on with those that it knows: {error}")
        finally:
            if not connection.in_atomic_block:
                connection.close()

    def take_up(self) -> None:
        if not self.has_entries:
            entries_put(self.app.conf.beat_schedule)
            self.has_entries = True
        self.write_runs()
        change = PeriodicTasks.last_change()
        if change == self.last_change and time.monotonic() - self.read_at < WHOLE_S:
            return
        self._schedule = self.all_as_schedule()
        self.last_change, self.read_at = change, time.monotonic()
        # The heap still holds entries of before.
        self._heap, self._heap_invalidated = [], True

    def enabled_models_qs(self) -> Any:
        # A feed's own tasks rest while another feed shares its database.
        return super().enabled_models_qs().exclude(name__in=self.app.conf.beat_entries_of_other_feeds)

    def write_runs(self) -> None:
        while self._dirty:
            name = self._dirty.pop()
            if name in self._schedule:
                self._schedule[name].save()

    def sync(self) -> None:
        """Called by beat at its end too, whatever the database is doing."""
        try:
            self.write_runs()
        except Error as error:
            logger.warning(f"when periodic tasks ran last is not noted: {error}")


def entries_put(entries: dict[str, Any]) -> None:
    for name, entry in entries.items():
        if not PeriodicTask.objects.filter(name=name).exists():
            PeriodicTask.objects.create(name=name, task=entry["task"], interval=interval_of(entry["schedule"]))
        # Another version may have given the work to another task.
        PeriodicTask.objects.filter(name=name).exclude(task=entry["task"]).update(task=entry["task"])


def interval_of(seconds: int) -> IntervalSchedule:
    """In the largest unit that it is a multiple of, as people would say it."""
    unit_s, period = next((unit_s, period) for unit_s, period in PERIODS if seconds % unit_s == 0)
    known = IntervalSchedule.objects.filter(every=seconds // unit_s, period=period).first()
    return known or IntervalSchedule.objects.create(every=seconds // unit_s, period=period)
