"""Hits without Django: from the raw request to the kept answer, when this very query has been validated before."""

from collections.abc import Mapping

from cachemgmt import figures
from cachemgmt.answers import Answer, answer
from cachemgmt.caching import now_ms
from cachemgmt.stores import store
from cachemgmt.types import Key, Served

MAX_REMEMBERED = 20_000

# (path, raw query) → the key that validation has led to. Nothing else leads from a raw query to an answer, so what was
# never validated is never served from the cache.
remembered: dict[tuple[str, str], Key] = {}


def remember(path: str, query: str, key: Key) -> None:
    """This query has been validated in this process, and means this key."""
    if len(remembered) >= MAX_REMEMBERED:
        remembered.clear()
    remembered[path, query] = key


def hit(method: str, path: str, query: str, environ: Mapping[str, str]) -> Answer | None:
    """The fresh answer that is kept for this request, or None: then it is Django's."""
    key = remembered.get((path, query)) if method == "GET" else None
    if key is None:
        return None
    reading = store().read(key)
    entry = reading.entry
    if entry is None or now_ms() >= entry.fresh_until_ms or not reading.is_valid(key):
        return None
    served = Served(entry, "hit")
    figures.count(key.namespace, served)
    return answer(served, environ)
