"""What operators see of the kept answers: pages of keys, one answer with its body, what a removal would take."""

import time
import zlib
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal, NamedTuple
from urllib.parse import quote

import msgspec

from cachemgmt.answers import GZIP_FORMAT
from cachemgmt.caching import now_ms
from cachemgmt.keys import GLOB, glob_escape
from cachemgmt.registry import namespaces
from cachemgmt.stores import store
from cachemgmt.stores.base import Look
from cachemgmt.types import Entry, Key

# fresh: served as it is; stale: it has expired, and shows the data as they are; outdated: data have changed since;
# unreadable: another version of liqui has written it.
State = Literal["fresh", "stale", "outdated", "unreadable"]

COUNT_SECONDS = 1.0
EXAMPLES = 5
PREVIEW_BYTES = 10 << 10
# Larger bodies are shown as they are, because all of a body is needed to set it out.
SET_OUT_BYTES = 256 << 10


@dataclass(frozen=True, slots=True)
class KeptAnswer:
    """One answer, judged; times are seconds from now, and None where it cannot be read."""

    key: str
    bytes: int
    removed_in_s: float
    state: State
    status: int | None = None
    age_s: float | None = None
    fresh_for_s: float | None = None
    cost_ms: float | None = None
    body_bytes: int | None = None
    request: str = ""
    scope: str = ""
    stamp: int | None = None
    counter: int | None = None  # of the scope's generation, now


class Counted(NamedTuple):
    """How many answers match, or, when the look took too long, at least so many."""

    number: int
    is_all: bool
    examples: list[str]


def answers_page(search: str, cursor: str) -> tuple[list[KeptAnswer], str]:
    """Some of the answers that a search means, and where the next page begins ("": nowhere)."""
    page = store().page(glob_of(search), cursor)
    return [judged(look) for look in page.looks], page.cursor


def answer_named(text: str) -> tuple[KeptAnswer, Entry | None] | None:
    """The answer that is kept under this key, and the same with its body."""
    looks = store().page(glob_escape(text)).looks
    if not looks:
        return None
    entry = looks[0].reading.entry
    return judged(looks[0]), store().read(key_of(text, entry)).entry if entry else None


def glob_of(search: str) -> str:
    """The glob that is meant: what was typed if it is one, else any key that holds it, in upper or lower case."""
    text = search.strip()
    if GLOB.search(text):
        return text
    letters = quote(text, safe=":%~")
    return f"*{''.join(f'[{a.lower()}{a.upper()}]' if a.isalpha() else a for a in letters)}*" if text else "*"


def judged(look: Look) -> KeptAnswer:
    info, entry, generation = look.info, look.reading.entry, look.reading.generation
    if entry is None:
        return KeptAnswer(info.key, info.bytes, info.ttl_s, "unreadable")
    fresh_for_ms = entry.fresh_until_ms - now_ms()
    is_valid = look.reading.is_valid(key_of(info.key, entry))
    return KeptAnswer(
        key=info.key,
        bytes=info.bytes,
        removed_in_s=info.ttl_s,
        state="outdated" if not is_valid else "fresh" if fresh_for_ms > 0 else "stale",
        status=entry.status,
        age_s=(now_ms() - entry.made_ms) / 1000,
        fresh_for_s=fresh_for_ms / 1000,
        cost_ms=entry.cost_ms,
        body_bytes=entry.size,
        request=request_of(info.key, entry),
        scope=entry.scope,
        stamp=entry.stamp,
        counter=generation.last if generation else None,
    )


def key_of(text: str, entry: Entry) -> Key:
    return Key(namespace_of(text), text, entry.scope, entry.first_ms, entry.last_ms, entry.query)


def namespace_of(text: str) -> str:
    return text.partition(":")[0]


def request_of(text: str, entry: Entry) -> str:
    """What a client asks for to be given this answer."""
    namespace = namespaces.get(namespace_of(text))
    path = namespace.path if namespace else ""
    return f"{path}?{entry.query}" if entry.query else path


def preview(entry: Entry) -> tuple[str, bool]:
    """The first 10 kB of the plain body, JSON set out over lines; and whether that is all."""
    body = beginning(entry, SET_OUT_BYTES + 1)
    if len(body) <= SET_OUT_BYTES:
        with suppress(msgspec.DecodeError):
            body = msgspec.json.format(body, indent=2)
    return body[:PREVIEW_BYTES].decode(errors="replace"), len(body) <= PREVIEW_BYTES


def beginning(entry: Entry, size: int) -> bytes:
    return zlib.decompressobj(GZIP_FORMAT).decompress(entry.body, size) if entry.is_gzipped else entry.body[:size]


def answers_counted(patterns: Iterable[str]) -> Counted:
    """What matches any of the globs now; they have no key in common."""
    number, examples, give_up_at = 0, [], time.monotonic() + COUNT_SECONDS
    for pattern in patterns:
        for info in store().entries(pattern):
            number += 1
            if len(examples) < EXAMPLES:
                examples.append(info.key)
            if time.monotonic() > give_up_at:
                return Counted(number, False, examples)
    return Counted(number, True, examples)
