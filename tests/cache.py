"""What tests of the cache share: a store with nothing in it, and operators who ask."""

from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.test import Client
from django_redis import get_redis_connection

from cachemgmt.stores import store

TOKEN = "a token of the tests"


def cache_empty() -> None:
    """Nothing is kept, learned, noted or just done."""
    memory: Any = getattr(store(), "memory", store())
    memory.forget()
    for kept in (memory.asked, memory.notes, memory.popular):
        kept.clear()
    if settings.ENVIRONMENT.redis_url:
        client = get_redis_connection("default")
        for key in client.scan_iter(f"{settings.CACHE_KEY_PREFIX}:*", count=1000):
            client.delete(key)


def kept_keys(pattern: str = "*") -> list[str]:
    return sorted(entry.key for entry in store().entries(pattern))


def operate(client: Client, path: str, query: Mapping[str, str] | None = None) -> Any:
    """POST as a program that knows the token; the body of the answer."""
    response: Any = client.post(f"/api/cache/{path}", query_params=query or {}, headers={"X-Liqui-Token": TOKEN})
    assert response.status_code == 200, response.content
    return response.json()
