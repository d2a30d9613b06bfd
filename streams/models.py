"""What the live path keeps beside the orders: their sequence, what was covered, and how the collectors are."""

from django.db import models


class StreamCounter(models.Model):
    """One row: the number that was given last. Locked by whoever gives the next ones, until these are committed."""

    last = models.BigIntegerField()

    class Meta:
        db_table = "stream_counter"

    def __str__(self) -> str:
        return f"{self.last} given"


class OutboxOrder(models.Model):
    """A stored forced order as sockets send it, kept for a day. Numbers have no holes and rise in order of commit.

    ``identity`` is a hash of the order's identity: of copies that several collectors received one is here.
    """

    sequence = models.BigIntegerField(primary_key=True)
    identity = models.CharField(max_length=64, unique=True)
    symbol = models.CharField(max_length=64)
    side = models.CharField(max_length=4)
    notional = models.FloatField()
    event_ms = models.BigIntegerField()
    stored_ms = models.BigIntegerField(db_index=True)
    text = models.TextField()

    class Meta:
        db_table = "stream_outbox"
        indexes = [models.Index(fields=["symbol", "sequence"], name="stream_outbox_symbol")]

    def __str__(self) -> str:
        return f"{self.sequence}: {self.side} {self.symbol}"


class StreamCoverage(models.Model):
    """A time during which one connection of a collector received a stream: [started_ms, until_ms), ms UTC."""

    venue = models.CharField(max_length=32)
    stream = models.CharField(max_length=64)
    collector = models.CharField(max_length=64)
    started_ms = models.BigIntegerField()
    until_ms = models.BigIntegerField()

    class Meta:
        db_table = "stream_coverage"
        constraints = [
            models.UniqueConstraint(fields=["collector", "stream", "venue", "started_ms"], name="stream_coverage_once")
        ]
        indexes = [models.Index(fields=["stream", "until_ms"], name="stream_coverage_until")]

    def __str__(self) -> str:
        return f"{self.collector} received {self.stream} from {self.started_ms} to {self.until_ms}"


class CollectorStatus(models.Model):
    """How a collector says it is, about once a second; ``state`` is `streams.collecting.status.State`."""

    name = models.CharField(max_length=64, primary_key=True)
    state = models.JSONField()
    updated_ms = models.BigIntegerField()

    class Meta:
        db_table = "collector_status"

    def __str__(self) -> str:
        return f"{self.name} at {self.updated_ms}"


class CollectorCommand(models.Model):
    """What an operator asks of a collector; ``taken_ms`` is null until that collector has seen it."""

    collector = models.CharField(max_length=64)
    action = models.CharField(max_length=16)  # retry, reconnect
    actor = models.CharField(max_length=150)
    asked_ms = models.BigIntegerField(db_index=True)
    taken_ms = models.BigIntegerField(null=True)

    class Meta:
        db_table = "collector_commands"

    def __str__(self) -> str:
        return f"{self.actor} asks {self.collector} to {self.action}"
