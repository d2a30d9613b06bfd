"""Where answers are kept: Redis with local memory to fall back on, or local memory alone when there is no Redis."""

import os
from functools import cache

from django.conf import settings

from cachemgmt.stores.base import Store


@cache
def store() -> Store:
    """The process's store."""
    from cachemgmt.stores.memory import MemoryStore

    memory_bytes = settings.CACHE_MEMORY_MB << 20
    if not settings.ENVIRONMENT.redis_url:
        from cachemgmt.stores.changes import DatabaseChanges

        return MemoryStore(memory_bytes, DatabaseChanges())
    from cachemgmt.stores.guarded import GuardedStore
    from cachemgmt.stores.redis import RedisStore

    return GuardedStore(RedisStore.from_settings(), MemoryStore(memory_bytes))


# A child process has connections, locks and threads of its own.
os.register_at_fork(after_in_child=store.cache_clear)
