"""Gzip for answers, as the contract has it: from 1000 bytes, and streams always, row by row.

Django's own middleware starts at 200 bytes, adds random bytes, and keeps a stream's rows until its buffer is full.
"""

import gzip
import re
import zlib
from collections.abc import AsyncIterator, Iterator
from typing import Any

from django.http import HttpRequest, HttpResponseBase
from django.utils.cache import patch_vary_headers
from django.utils.deprecation import MiddlewareMixin

from api.encoding import accepts_gzip

MINIMUM_BYTES = 1000
LEVEL = 6
# 880 000 rows of an export a second here, against 350 000 at level 6, for a fifth more bytes.
STREAM_LEVEL = 3
GZIP_FORMAT = 31  # zlib's window size of 15 with 16 added: a gzip header, whose time is 0
COMPRESSIBLE = re.compile(r"text/|application/(?:[\w.+-]*(?:json|xml|yaml|javascript))|image/svg")


class GZipMiddleware(MiddlewareMixin):
    """Compresses what is worth it for clients that accept it. Equal bodies give equal bytes."""

    def process_response(self, request: HttpRequest, response: Any) -> HttpResponseBase:
        if is_compressible(response):
            patch_vary_headers(response, ("Accept-Encoding",))
            is_worth_it = response.streaming or len(response.content) >= MINIMUM_BYTES
            if is_worth_it and accepts_gzip(request.META.get("HTTP_ACCEPT_ENCODING", "")):
                compress(response)
        # A 304's would have to be that of the body which it does not have.
        if not response.streaming and response.status_code != 304:
            response["Content-Length"] = str(len(response.content))
        return response


def is_compressible(response: HttpResponseBase) -> bool:
    is_encoded = response.has_header("Content-Encoding")
    return not is_encoded and COMPRESSIBLE.match(response.get("Content-Type", "")) is not None


def compress(response: Any) -> None:
    if response.streaming:
        compress_stream(response)
    else:
        response.content = gzip.compress(response.content, LEVEL, mtime=0)
    response["Content-Encoding"] = "gzip"
    etag = response.get("ETag", "")
    if etag.startswith('"'):
        # The compressed bytes are another representation: a strong tag must not stand for both.
        response["ETag"] = f"W/{etag}"


def compress_stream(response: Any) -> None:
    # Not `streaming_content`: Django wraps that in a generator which does not close what it reads from.
    inner = response._iterator
    response.streaming_content = compressed_async(inner) if response.is_async else compressed(inner)
    del response["Content-Length"]


def compressed(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """The chunks gzipped, each of them readable as soon as it has arrived."""
    compressor = zlib.compressobj(STREAM_LEVEL, zlib.DEFLATED, GZIP_FORMAT)
    try:
        for chunk in chunks:
            yield compressor.compress(chunk) + compressor.flush(zlib.Z_SYNC_FLUSH)
        yield compressor.flush()
    finally:
        # Reached by GeneratorExit too: the query ends when the client leaves, not when memory is tidied up.
        if close := getattr(chunks, "close", None):
            close()


async def compressed_async(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """`compressed` for an asynchronous stream."""
    compressor = zlib.compressobj(STREAM_LEVEL, zlib.DEFLATED, GZIP_FORMAT)
    try:
        async for chunk in chunks:
            yield compressor.compress(chunk) + compressor.flush(zlib.Z_SYNC_FLUSH)
        yield compressor.flush()
    finally:
        if close := getattr(chunks, "aclose", None):
            await close()
