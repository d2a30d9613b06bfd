"""Gzip from 1000 bytes; streams always, each chunk readable when it has been sent."""

import asyncio
import gzip
import zlib
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse

from liqui.compression import GZipMiddleware, accepts_gzip

NDJSON = "application/x-ndjson"


def answered(response: Any, accept_encoding: str | None = "gzip") -> Any:
    request = HttpRequest()
    if accept_encoding is not None:
        request.META["HTTP_ACCEPT_ENCODING"] = accept_encoding
    return GZipMiddleware(lambda request: response)(request)


def json_of(size: int, **headers: str) -> HttpResponse:
    return HttpResponse(b"1" * size, content_type="application/json", headers=headers)


@pytest.mark.parametrize(("size", "is_compressed"), [(0, False), (999, False), (1000, True), (100_000, True)])
def test_a_body_is_compressed_from_1000_bytes(size: int, is_compressed: bool) -> None:
    response = answered(json_of(size))
    assert response.has_header("Content-Encoding") is is_compressed
    assert int(response["Content-Length"]) == len(response.content)
    assert (gzip.decompress(response.content) if is_compressed else response.content) == b"1" * size
    assert response["Vary"] == "Accept-Encoding"


def test_equal_bodies_give_equal_bytes() -> None:
    assert answered(json_of(5000)).content == answered(json_of(5000)).content


@pytest.mark.parametrize(
    ("header", "is_accepted"),
    [
        ("gzip", True),
        ("GZIP", True),
        ("deflate, gzip;q=1.0, *;q=0.5", True),
        ("br, x-gzip", True),
        ("*", True),
        ("gzip;q=0.001", True),
        ("", False),
        ("identity", False),
        ("gzip;q=0", False),
        ("gzip ; q=0.000", False),
        ("*, gzip;q=0", False),
        ("*;q=0", False),
        ("notgzip", False),
        ("gzip;q=1.2.3", False),
    ],
)
def test_only_who_accepts_gzip_gets_it(header: str, is_accepted: bool) -> None:
    assert accepts_gzip(header) is is_accepted


def test_who_does_not_say_that_he_accepts_gzip_gets_the_plain_body_and_caches_are_told() -> None:
    response = answered(json_of(5000), None)
    assert not response.has_header("Content-Encoding")
    assert response["Vary"] == "Accept-Encoding"


def test_what_is_encoded_already_or_not_worth_it_is_left_alone() -> None:
    encoded = json_of(5000, **{"Content-Encoding": "br"})
    image = HttpResponse(b"1" * 5000, content_type="image/png")
    for response in (answered(encoded), answered(image)):
        assert response.content == b"1" * 5000
        assert not response.has_header("Vary")


def test_a_strong_etag_becomes_a_weak_one() -> None:
    assert answered(json_of(5000, ETag='"tag"'))["ETag"] == 'W/"tag"'
    assert answered(json_of(5000, ETag='W/"tag"'))["ETag"] == 'W/"tag"'
    assert answered(json_of(5, ETag='"tag"'))["ETag"] == '"tag"'


class Rows:
    """A source that knows whether it was closed."""

    def __init__(self) -> None:
        self.closed = False

    def sync(self) -> Iterator[bytes]:
        try:
            yield b'{"row": 1}\n'
            yield b'{"row": 2}\n'
        finally:
            self.closed = True

    async def asynchronous(self) -> AsyncIterator[bytes]:
        try:
            yield b'{"row": 1}\n'
            yield b'{"row": 2}\n'
        finally:
            self.closed = True


def unzipped(chunk: bytes) -> bytes:
    return zlib.decompressobj(31).decompress(chunk)


def test_a_streams_first_row_can_be_read_before_the_second_is_made() -> None:
    response = answered(StreamingHttpResponse(Rows().sync(), content_type=NDJSON))
    assert unzipped(next(iter(response))) == b'{"row": 1}\n'
    assert not response.has_header("Content-Length")


def test_a_whole_stream_is_one_gzip_file_however_short() -> None:
    response = answered(StreamingHttpResponse(Rows().sync(), content_type=NDJSON))
    assert gzip.decompress(b"".join(response)) == b'{"row": 1}\n{"row": 2}\n'
    empty = answered(StreamingHttpResponse(iter(()), content_type=NDJSON))
    assert gzip.decompress(b"".join(empty)) == b""


@pytest.mark.django_db
def test_a_stream_is_closed_when_the_client_leaves() -> None:
    rows = Rows()
    response = answered(StreamingHttpResponse(rows.sync(), content_type=NDJSON))
    next(iter(response))
    response.close()
    assert rows.closed


def test_an_asynchronous_stream_is_compressed_row_by_row_too() -> None:
    async def read() -> list[bytes]:
        response = answered(StreamingHttpResponse(Rows().asynchronous(), content_type=NDJSON))
        return [part async for part in response]

    parts = asyncio.run(read())
    assert unzipped(parts[0]) == b'{"row": 1}\n'
    assert gzip.decompress(b"".join(parts)) == b'{"row": 1}\n{"row": 2}\n'


def test_an_asynchronous_stream_is_closed_when_the_client_leaves() -> None:
    async def leave() -> Rows:
        rows = Rows()
        stream = answered(StreamingHttpResponse(rows.asynchronous(), content_type=NDJSON))._iterator
        await anext(stream)
        await stream.aclose()
        return rows

    assert asyncio.run(leave()).closed
