"""How many requests a client may make: token buckets, in Redis or, where there is none, in this process's memory."""

import os
from functools import cache
from typing import Protocol

from django.conf import settings

from accounts.limits.bucket import Rate, Verdict


class Buckets(Protocol):
    """Counts each client's requests. Trouble with a server is nobody's error: then requests pass, uncounted."""

    @property
    def name(self) -> str:
        """What it is, for people."""
        ...

    @property
    def trouble(self) -> str:
        """What is wrong, so that nothing is counted; empty while all is well."""
        ...

    def spend(self, client: str, rate: Rate) -> Verdict | None:
        """Count one request of this client; None: not counted, so it may pass."""
        ...


@cache
def buckets() -> Buckets:
    """The process's buckets."""
    if settings.ENVIRONMENT.redis_url:
        from accounts.limits.redis import RedisBuckets

        return RedisBuckets.from_settings()
    from accounts.limits.memory import MemoryBuckets

    return MemoryBuckets()


# A child process has connections, locks and threads of its own.
os.register_at_fork(after_in_child=buckets.cache_clear)


def rate() -> Rate | None:
    """RATE_LIMIT_PER_MINUTE and RATE_LIMIT_BURST; None: there is no limit."""
    per_minute = settings.RATE_LIMIT_PER_MINUTE
    return Rate(per_minute, settings.RATE_LIMIT_BURST) if per_minute else None
