"""Buckets in Redis: one for all processes, read, decided and written in one step. Without it nothing is counted."""

import hashlib
from typing import Any, Self

from django.conf import settings
from django_redis import get_redis_connection
from redis.exceptions import NoScriptError

from accounts.limits.bucket import PARTS, Rate, Verdict
from database.breaker import Breaker
from database.redis import FAILURES, OwnConnections, place_of

# KEYS: the bucket.  ARGV: its parts when full, its parts a microsecond. `bucket` says the same in Python.
# A request that is refused changes nothing; a bucket that is full again is forgotten.
SPEND = f"""
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local full, parts = tonumber(ARGV[1]), tonumber(ARGV[2])
local left = full
local kept = redis.call('GET', KEYS[1])
if kept then
    local before = cmsgpack.unpack(kept)
    left = math.min(full, before[1] + math.max(now - before[2], 0) * parts)
end
if left < {PARTS} then return {{0, left}} end
left = left - {PARTS}
redis.call('SET', KEYS[1], cmsgpack.pack({{left, now}}), 'PX', math.ceil((full - left) / parts / 1000))
return {{1, left}}
"""
DIGEST = hashlib.sha1(SPEND.encode(), usedforsecurity=False).hexdigest()
PROBE = "probe"
PROBE_RATE = Rate(per_minute=1_000_000, burst=1_000_000)


class RedisBuckets:
    """While Redis is in trouble every request passes, and none waits to find that out again."""

    def __init__(self, client: Any, prefix: str) -> None:
        self.name, self.prefix = place_of(client), prefix
        self.ask = OwnConnections(client).ask
        self.breaker = Breaker(self.name, self.probe, "requests are not limited")

    @classmethod
    def from_settings(cls) -> Self:
        return cls(get_redis_connection("default"), settings.CACHE_KEY_PREFIX)

    @property
    def trouble(self) -> str:
        return f"{self.name} {self.breaker.reason}" if self.breaker.is_open else ""

    def spend(self, client: str, rate: Rate) -> Verdict | None:
        if self.breaker.is_open:
            return None
        try:
            return self.spend_there(client, rate)
        except FAILURES as error:
            self.breaker.open(error)
            return None

    def spend_there(self, client: str, rate: Rate) -> Verdict:
        """One round trip. Raises what Redis raises."""
        arguments = (1, f"{self.prefix}:r:{client}", rate.full, rate.per_minute)
        try:
            is_allowed, left = self.ask("EVALSHA", DIGEST, *arguments)
        except NoScriptError:
            # A server that has just started does not know it yet.
            is_allowed, left = self.ask("EVAL", SPEND, *arguments)
        return Verdict(rate, bool(is_allowed), left)

    def probe(self) -> None:
        """What real work does: a server that is full, or a replica, answers reads and refuses writes."""
        self.spend_there(PROBE, PROBE_RATE)
