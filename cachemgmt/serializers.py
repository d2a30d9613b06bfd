"""Parameters of the management endpoints, and what their answers look like."""

from rest_framework import serializers

from api.parameters import QueryParameters, StringParameter
from api.shapes import Shape


class ClearParameters(QueryParameters):
    pattern = StringParameter(
        default="*", help_text="Glob over the keys of answers, such as `liq:BTC*`: `*`, `?`, `[abc]`, backslash."
    )


class NamespaceShape(Shape):
    hits = serializers.IntegerField(help_text="Answered from the cache.")
    misses = serializers.IntegerField(help_text="Made anew.")
    stale = serializers.IntegerField(
        help_text="Answered with an expired answer while a new one was made, or could not be."
    )
    coalesced = serializers.IntegerField(help_text="Waited for an answer that another request was making.")
    bypassed = serializers.IntegerField(help_text="Made and not kept.")
    saved_bytes = serializers.IntegerField(help_text="Bytes of bodies that were not made anew.")
    saved_seconds = serializers.FloatField(help_text="Time that making them would have taken.")
    keys = serializers.IntegerField(help_text="Answers kept now.")
    bytes = serializers.IntegerField(help_text="Their size as kept, compressed.")
    ttl_seconds = serializers.FloatField(help_text="Mean time until they are removed.")


class BreakerShape(Shape):
    is_open = serializers.BooleanField(help_text="This process does without Redis at the moment.")
    reason = serializers.CharField(allow_blank=True)
    openings = serializers.IntegerField(help_text="How often that has happened, in all processes.")


class WarmingShape(Shape):
    is_running = serializers.BooleanField()
    started = serializers.DateTimeField()
    total = serializers.IntegerField(help_text="Answers to look at.")
    done = serializers.IntegerField(help_text="Of these so far.")
    made = serializers.IntegerField(help_text="Made; the others were fresh.")
    failed = serializers.IntegerField()
    seconds = serializers.FloatField()


class StatsShape(Shape):
    available = serializers.BooleanField()
    error = serializers.CharField(required=False, help_text="Instead of the next seven, when not available.")
    connected_clients = serializers.IntegerField(required=False)
    used_memory = serializers.IntegerField(required=False, help_text="Bytes, of the whole Redis server.")
    used_memory_human = serializers.CharField(required=False)
    keyspace_hits = serializers.IntegerField(required=False)
    keyspace_misses = serializers.IntegerField(required=False)
    total_commands_processed = serializers.IntegerField(required=False)
    hit_rate = serializers.FloatField(required=False, help_text="Percent, of the whole Redis server.")
    store = serializers.CharField(help_text="Where answers are kept now.")
    breaker = BreakerShape()
    namespaces = serializers.DictField(
        child=NamespaceShape(), help_text="The requests of all processes since their start."
    )
    namespaces_complete = serializers.BooleanField(help_text="Whether all kept answers could be counted in time.")
    warming = WarmingShape(allow_null=True, help_text="The run that is under way, or the last one.")


class CacheStatsShape(Shape):
    cache_stats = StatsShape()
    message = serializers.CharField()


class ClearedShape(Shape):
    deleted_keys = serializers.IntegerField()
    pattern = serializers.CharField()
    message = serializers.CharField()


class SymbolInvalidatedShape(Shape):
    deleted_keys = serializers.IntegerField()
    symbol = serializers.CharField()
    message = serializers.CharField()


class SymbolsInvalidatedShape(Shape):
    success = serializers.BooleanField()
    message = serializers.CharField()


class WarmingStartedShape(Shape):
    message = serializers.CharField()
    status = serializers.CharField()
