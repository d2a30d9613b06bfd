"""From a kept answer to what goes over the wire: the one place for both ways, with Django and before it."""

import gzip
import re
from collections.abc import Mapping
from dataclasses import dataclass

from api.encoding import accepts_gzip
from cachemgmt.caching import now_ms
from cachemgmt.types import Served

# Clients and proxies may keep an answer for so long without asking again: they cannot be told of changes.
CLIENT_SECONDS = 60
ETAGS = re.compile(r'(?:W/)?("[^"]*")')


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
            body = gzip.decompress(body)
    headers += [("Content-Type", entry.content_type), ("Content-Length", str(len(body)))]
    return Answer(entry.status, headers, body)


def cache_headers(served: Served) -> list[tuple[str, str]]:
    entry, now = served.entry, now_ms()
    headers = [("ETag", entry.etag), ("Vary", "Accept-Encoding"), ("X-Cache", served.state)]
    if served.state == "bypass":
        return [*headers, ("Cache-Control", "no-cache")]
    age = max(now - entry.made_ms, 0) // 1000
    headers.append(("Age", str(age)))
    if served.state == "stale":
        warning = '111 - "Revalidation Failed"' if served.has_failed else '110 - "Response is Stale"'
        return [*headers, ("Cache-Control", "no-cache"), ("Warning", warning)]
    # Relative to the moment at which the answer was made, as Age is (RFC 9111, 4.2.3).
    left = min(max(entry.fresh_until_ms - now, 0) // 1000, CLIENT_SECONDS)
    return [*headers, ("Cache-Control", f"public, max-age={age + left}")]


def matches(if_none_match: str, etag: str) -> bool:
    """Weak comparison (RFC 9110, 13.1.2)."""
    if not if_none_match:
        return False
    opaque = etag.removeprefix("W/")
    return if_none_match.strip() == "*" or opaque in ETAGS.findall(if_none_match)
