"""From a kept answer to what goes over the wire: the one place for both ways, with Django and before it."""

import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from django.conf import settings

from api.encoding import accepts_gzip
from cachemgmt.caching import now_ms
from cachemgmt.types import Entry, Served

# Clients and proxies may keep an answer for so long without asking again: they cannot be told of changes.
CLIENT_SECONDS = 60
GZIP_FORMAT = 31  # zlib's window size of 15, with 16 added for the gzip header
# What clients without gzip ask for again and again: decompressing 26 kB takes half as long as the rest of a hit.
REMEMBERED_BODIES, REMEMBERED_BYTES = 64, 128 << 10
ETAGS = re.compile(r'(?:W/)?("[^"]*")')

# On every answer from a namespace, kept or not; others may add to them.
COMMON_HEADERS = {"Allow": "GET", "Vary": "Accept-Encoding"}


@dataclass(frozen=True, slots=True)
class Answer:
    """Status, headers and body as they are sent."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes


def answer(served: Served, environ: Mapping[str, str]) -> Answer:
    """The answer for a request with these CGI-style headers (HTTP_ACCEPT_ENCODING, HTTP_IF_NONE_MATCH)."""
    entry = served.entry
    headers = cache_headers(served)
    if served.entry.status == 200 and matches(environ.get("HTTP_IF_NONE_MATCH", ""), entry.etag):
        return Answer(304, headers, b"")
    body = entry.body
    if entry.is_gzipped:
        if accepts_gzip(environ.get("HTTP_ACCEPT_ENCODING", "")):
            headers.append(("Content-Encoding", "gzip"))
        else:
            body = plain_body(entry)
    headers += [("Content-Type", entry.content_type), ("Content-Length", str(len(body)))]
    return Answer(entry.status, headers, body)


def plain_body(entry: Entry) -> bytes:
    decompress = decompressed if entry.size <= REMEMBERED_BYTES else decompressed.__wrapped__
    return decompress(entry.body)


@lru_cache(maxsize=REMEMBERED_BODIES)
def decompressed(body: bytes) -> bytes:
    return zlib.decompress(body, GZIP_FORMAT)


def cache_headers(served: Served) -> list[tuple[str, str]]:
    entry, now = served.entry, now_ms()
    headers = [("ETag", entry.etag), ("X-Cache", served.state)]
    if served.state == "bypass":
        return [*headers, ("Cache-Control", "no-cache")]
    age = max(now - entry.made_ms, 0) // 1000
    headers.append(("Age", str(age)))
    if served.state == "stale":
        warning = '111 - "Revalidation Failed"' if served.has_failed else '110 - "Response is Stale"'
        return [*headers, ("Cache-Control", "no-cache"), ("Warning", warning)]
    # Relative to the moment at which the answer was made, as Age is (RFC 9111, 4.2.3).
    left = min(max(entry.fresh_until_ms - now, 0) // 1000, CLIENT_SECONDS)
    # What not everybody may read is not for proxies to keep, which would hand it to everybody.
    whose = "private" if settings.READ_ACCESS == "closed" else "public"
    return [*headers, ("Cache-Control", f"{whose}, max-age={age + left}")]


def matches(if_none_match: str, etag: str) -> bool:
    """Weak comparison (RFC 9110, 13.1.2)."""
    if not if_none_match:
        return False
    opaque = etag.removeprefix("W/")
    return if_none_match.strip() == "*" or opaque in ETAGS.findall(if_none_match)
