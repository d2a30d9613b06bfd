"""What the console keeps: work that somebody has asked for, and what it shows of the last day."""

from datetime import timedelta

from django.db import models
from django.utils import timezone

# After so long without a word whoever works on a job is taken for dead; so is whoever should have taken it up.
SILENCE = timedelta(minutes=5)


class Job(models.Model):
    """One run of a Celery task with a progress to look at. ``total`` is null while it is not known.

    A job may be run twice (Celery redelivers), so its work must bear that.
    """

    class State(models.TextChoices):
        WAITING = "waiting"
        RUNNING = "running"
        DONE = "done"
        FAILED = "failed"

    kind = models.CharField(max_length=32)  # import, bars.verify, bars.rebuild, cache.warm
    target = models.CharField(max_length=255, blank=True)
    arguments = models.JSONField(default=dict)
    state = models.CharField(max_length=16, choices=State.choices, default=State.WAITING)
    done = models.BigIntegerField(default=0)
    total = models.BigIntegerField(null=True)
    message = models.TextField(blank=True)
    result = models.JSONField(default=dict)
    actor = models.CharField(max_length=150)
    address = models.CharField(max_length=64, blank=True)
    created_at = models.DateTimeField(auto_now_add=True, db_index=True)
    started_at = models.DateTimeField(null=True)
    told_at = models.DateTimeField(null=True)  # when its work has last said how far it is
    finished_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "console_jobs"

    def __str__(self) -> str:
        return f"{self.kind} {self.target}"

    @property
    def is_over(self) -> bool:
        return self.state in (self.State.DONE, self.State.FAILED)

    @property
    def is_stalled(self) -> bool:
        return not self.is_over and timezone.now() - (self.told_at or self.created_at) > SILENCE

    @property
    def percent(self) -> int | None:
        return min(100, self.done * 100 // self.total) if self.total else None


class Sample(models.Model):
    """What all processes had counted since their starts, at one moment. Two of them tell how much came between."""

    at = models.DateTimeField(auto_now_add=True, db_index=True)
    requests = models.BigIntegerField()
    hits = models.BigIntegerField()  # answered from the cache, stale answers included
    stale = models.BigIntegerField()
    misses = models.BigIntegerField()

    class Meta:
        db_table = "console_samples"

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d %H:%M:%S}"


class SlowQuery(models.Model):
    """A read of the last day that took longer than SLOW_QUERY_MS."""

    at = models.DateTimeField(db_index=True)
    milliseconds = models.IntegerField()
    statement = models.TextField()
    parameters = models.TextField(blank=True)
    ended_by_limit = models.BooleanField(default=False)

    class Meta:
        db_table = "console_slow_queries"

    def __str__(self) -> str:
        return f"{self.milliseconds} ms: {self.statement[:80]}"
