"""Hits without a view: from the raw request to the kept answer, when this very query has been validated before."""

import threading
from collections.abc import Callable, MutableMapping
from typing import Any

from cachemgmt import figures
from cachemgmt.answers import Answer, answer
from cachemgmt.caching import now_ms
from cachemgmt.popular import popularity
from cachemgmt.stores import store
from cachemgmt.types import Key, Served

MAX_REMEMBERED = 10_000
MAX_QUERY_CHARACTERS = 1024

Environ = MutableMapping[str, Any]  # CGI's variables, as WSGI and Django's `META` have them; gates may add to them
Gate = Callable[[Environ], list[tuple[str, str]] | None]

# (path, raw query) → the key that validation has led to. Nothing else leads from a raw query to an answer, so what was
# never validated is never served from the cache.
remembered: dict[tuple[str, str], Key] = {}
remembering = threading.Lock()

# Who may have an answer, and how many: a gate adds headers to it, or says None. Then the request goes on to its view,
# where the refusal is made. Gates are asked when there is an answer to give, so that what they count is counted once.
gates: list[Gate] = []


def remember(path: str, query: str, key: Key) -> None:
    """This query has been validated in this process, and means this key."""
    if len(query) > MAX_QUERY_CHARACTERS:
        return
    with remembering:
        while len(remembered) >= MAX_REMEMBERED:
            del remembered[next(iter(remembered))]
        remembered[path, query] = key


def hit(environ: Environ) -> Answer | None:
    """The fresh answer that is kept for this request, or None: then it is the view's."""
    if environ["REQUEST_METHOD"] != "GET":
        return None
    key = remembered.get((environ["PATH_INFO"], environ.get("QUERY_STRING", "")))
    if key is None:
        return None
    reading = store().read(key)
    entry = reading.entry
    if entry is None or now_ms() >= entry.fresh_until_ms or not reading.is_valid(key):
        return None
    added: list[tuple[str, str]] = []
    for gate in gates:
        headers = gate(environ)
        if headers is None:
            return None
        added += headers
    served = Served(entry, "hit")
    figures.count(key.namespace, served)
    if entry.status == 200:
        popularity.count(environ["PATH_INFO"], environ.get("QUERY_STRING", ""))
    found = answer(served, environ)
    found.headers.extend(added)
    return found
