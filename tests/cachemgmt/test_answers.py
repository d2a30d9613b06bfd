"""What of a kept answer goes over the wire: the body's coding, what clients may keep, and 304."""

import zlib
from typing import Any

import pytest

from cachemgmt.answers import CLIENT_SECONDS, REMEMBERED_BYTES, answer, decompressed, matches
from cachemgmt.caching import entry_of
from cachemgmt.types import Begun, CacheState, Entry, Key, Made, Served

NOTHING_BEGUN = Begun(0, 0, 0, None)
KEY = Key("test", "test:1", "symbol:BTCUSDT")
SMALL, LARGE = b'{"small":1}', b'{"large":"%b"}' % (b"1234567890" * 500)


def entry(body: bytes = LARGE, status: int = 200, ttl_s: float = 300) -> Entry:
    return entry_of(KEY, Made(status, "application/json", body, ttl_s), NOTHING_BEGUN, 1.5)


def answered(kept: Entry, state: CacheState = "hit", has_failed: bool = False, **environ: str) -> Any:
    """Status, headers as a dict, and body."""
    found = answer(Served(kept, state, has_failed=has_failed), environ)
    headers = dict(found.headers)
    assert len(headers) == len(found.headers), "a header is there twice"
    return found.status, headers, found.body


def set_clock(monkeypatch: pytest.MonkeyPatch, kept: Entry, seconds: float) -> None:
    """It is ``seconds`` after the answer was made."""
    monkeypatch.setattr("cachemgmt.answers.now_ms", lambda: kept.made_ms + int(seconds * 1000))


@pytest.mark.parametrize("accepted", ["gzip", "gzip, deflate, br", "x-gzip", "*", "br;q=1, gzip;q=0.1"])
def test_a_large_body_is_sent_as_it_is_kept_to_who_accepts_gzip(accepted: str) -> None:
    kept = entry()
    status, headers, body = answered(kept, HTTP_ACCEPT_ENCODING=accepted)
    assert (status, headers["Content-Encoding"]) == (200, "gzip")
    assert body is kept.body
    assert zlib.decompress(body, 31) == LARGE
    assert headers["Content-Length"] == str(len(body))


@pytest.mark.parametrize("accepted", ["", "identity", "br", "gzip;q=0", "*;q=0", "*, gzip;q=0"])
def test_a_large_body_is_plain_for_everybody_else(accepted: str) -> None:
    status, headers, body = answered(entry(), HTTP_ACCEPT_ENCODING=accepted)
    assert (status, body) == (200, LARGE)
    assert "Content-Encoding" not in headers
    assert headers["Content-Length"] == str(len(LARGE))


def test_a_small_body_is_never_compressed() -> None:
    _, headers, body = answered(entry(SMALL), HTTP_ACCEPT_ENCODING="gzip")
    assert body == SMALL
    assert "Content-Encoding" not in headers


def test_both_codings_have_one_weak_etag_and_another_body_has_another() -> None:
    kept = entry()
    etag = answered(kept)[1]["ETag"]
    assert answered(kept, HTTP_ACCEPT_ENCODING="gzip")[1]["ETag"] == etag
    assert etag.startswith('W/"')
    assert etag != entry(LARGE + b" ").etag


@pytest.mark.parametrize(
    ("if_none_match", "is_same"),
    [
        ("{etag}", True),
        ("{opaque}", True),  # weak comparison: a strong tag matches too
        ('"other", {etag}', True),
        ('W/"other",{opaque} , "third"', True),
        ("*", True),
        (" * ", True),
        ("", False),
        ('"other"', False),
        ('W/"other"', False),
        ("{bare}", False),  # no tag without quotes
        ('"{bare}', False),
        ("**", False),
        ('"*"', False),
        ('"' * 9999, False),
    ],
)
def test_a_client_that_has_the_body_gets_304_without_one(if_none_match: str, is_same: bool) -> None:
    kept = entry()
    opaque = kept.etag.removeprefix("W/")
    sent = if_none_match.format(etag=kept.etag, opaque=opaque, bare=opaque.strip('"'))
    status, headers, body = answered(kept, HTTP_IF_NONE_MATCH=sent, HTTP_ACCEPT_ENCODING="gzip")
    assert status == (304 if is_same else 200)
    assert (body == b"") is is_same
    # What a 200 would say of the answer, and nothing about a body that is not there (RFC 9110, 15.4.5).
    assert {"ETag", "Cache-Control", "Age", "X-Cache"} <= headers.keys()
    about_body = {"Content-Length", "Content-Type", "Content-Encoding"}
    assert about_body & headers.keys() == (set() if is_same else about_body)


def test_only_a_200_can_be_not_modified() -> None:
    kept = entry(SMALL, status=404)
    assert answered(kept, HTTP_IF_NONE_MATCH=kept.etag)[0] == 404
    assert answered(kept, HTTP_IF_NONE_MATCH="*")[2] == SMALL


def test_a_tag_is_compared_as_a_whole() -> None:
    assert matches('W/"a", "b"', 'W/"b"')
    assert not matches('"ab"', 'W/"a"')
    assert not matches('W/"a', 'W/"a"')


def test_a_client_may_keep_an_answer_for_as_long_as_it_is_fresh_but_a_minute_at_most(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    short, long = entry(ttl_s=5), entry(ttl_s=86_400)
    set_clock(monkeypatch, short, 2)
    assert answered(short)[1]["Cache-Control"] == "public, max-age=5"
    set_clock(monkeypatch, long, 1000)
    headers = answered(long)[1]
    assert (headers["Age"], headers["Cache-Control"]) == ("1000", f"public, max-age={1000 + CLIENT_SECONDS}")


def test_what_is_served_after_its_time_says_so_and_is_not_to_be_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = entry(ttl_s=5)
    set_clock(monkeypatch, kept, 7.9)
    headers = answered(kept, "stale")[1]
    assert (headers["X-Cache"], headers["Age"], headers["Cache-Control"]) == ("stale", "7", "no-cache")
    assert headers["Warning"] == '110 - "Response is Stale"'
    assert answered(kept, "stale", has_failed=True)[1]["Warning"] == '111 - "Revalidation Failed"'


def test_what_was_not_kept_here_is_not_to_be_kept_elsewhere() -> None:
    headers = answered(entry(ttl_s=0), "bypass")[1]
    assert (headers["X-Cache"], headers["Cache-Control"]) == ("bypass", "no-cache")
    assert "Age" not in headers


def test_a_clock_that_is_set_back_makes_no_negative_age(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = entry()
    set_clock(monkeypatch, kept, -3600)
    headers = answered(kept)[1]
    assert (headers["Age"], headers["Cache-Control"]) == ("0", f"public, max-age={CLIENT_SECONDS}")


def test_what_is_not_kept_is_not_compressed_to_be_decompressed_at_once() -> None:
    assert entry(ttl_s=0).body == LARGE


@pytest.mark.parametrize("size", [REMEMBERED_BYTES, REMEMBERED_BYTES + 1])
def test_a_body_of_any_size_is_plain_again_and_the_largest_are_not_remembered(size: int) -> None:
    decompressed.cache_clear()
    kept = entry(b"1" * size)
    assert [answered(kept)[2] for _ in range(2)] == [b"1" * size] * 2
    assert decompressed.cache_info().currsize == (size == REMEMBERED_BYTES)
