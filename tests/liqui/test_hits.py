"""Hits on three ways: through the view, as the first middleware, and before Django. Whichever it is, nobody can tell.

The view answers a hit when its process has not validated this very query before.
"""

import re
import zlib
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from secrets import token_hex
from typing import Any, NamedTuple
from urllib.parse import urlencode
from wsgiref.util import setup_testing_defaults
from wsgiref.validate import validator

import pytest
from django.core.handlers.wsgi import WSGIHandler
from django.utils.datastructures import CaseInsensitiveMapping
from prometheus_client import REGISTRY

from accounts.limits import buckets
from cachemgmt import hits
from cachemgmt.stores import store
from cachemgmt.types import Key
from liqui import limits
from liqui.hits import HitsFirst, common_headers, logged
from tests.factories import DAY, HOUR, T0, order

Write = Callable[..., Any]

PATH = "/api/liquidations"
WINDOW = {"symbol": "BTCUSDT", "timeframe": "1h", "start_timestamp": T0, "end_timestamp": T0 + DAY}
NOTHING = urlencode(WINDOW | {"symbol": "NOTHING"})
WAYS = ("view", "middleware", "before Django")
PAGE, OTHER_PAGE = "https://page.example", "https://other.example"
KEY = Key("liq", "liq:KEY", "symbol:KEY")


class Reply(NamedTuple):
    status: int
    headers: Mapping[str, str]  # whose names may be asked for in any case
    body: bytes


class Way:
    """Asks on one of the three ways, and counts what reached Django."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.seen_by_django = 0
        application = HitsFirst(self.through_django) if name == "before Django" else self.through_django
        # Refuses what PEP 3333 forbids.
        self.application: Any = validator(application)  # type: ignore[arg-type]

    @cached_property
    def django(self) -> WSGIHandler:
        # When it is first asked: then it knows the settings of the test.
        return WSGIHandler()

    def through_django(self, environ: dict[str, Any], start_response: Any) -> Any:
        self.seen_by_django += 1
        return self.django(environ, start_response)

    def ask(self, query: str = urlencode(WINDOW), path: str = PATH, method: str = "GET", **variables: str) -> Reply:
        """``variables`` are CGI's: HTTP_ACCEPT_ENCODING and so on."""
        environ: dict[str, Any] = {"wsgi.url_scheme": "http"}
        environ |= {"REQUEST_METHOD": method, "SCRIPT_NAME": "", "PATH_INFO": path, "QUERY_STRING": query, **variables}
        setup_testing_defaults(environ)
        said: list[Any] = []
        chunks = self.application(environ, lambda status, headers: said.extend((status, headers)))
        body = b"".join(chunks)
        chunks.close()
        assert len({name.lower() for name, _ in said[1]}) == len(said[1]), "a header is there twice"
        return Reply(int(said[0].split()[0]), CaseInsensitiveMapping(said[1]), body)

    def ask_for_hit(self, query: str = urlencode(WINDOW), **variables: str) -> Reply:
        """Asks twice; the second answer has come this way."""
        self.ask(query, **variables)
        if self.name == "view":
            hits.remembered.clear()
        seen = self.seen_by_django
        reply = self.ask(query, **variables)
        assert reply.headers["X-Cache"] == "hit"
        assert self.seen_by_django - seen == (self.name != "before Django")
        return reply


@pytest.fixture(autouse=True)
def clean_up() -> Iterator[None]:
    """Headers are put together once a process, whose settings only tests change."""
    common_headers.cache_clear()
    gates = [*hits.gates]
    yield
    common_headers.cache_clear()
    hits.gates[:] = gates
    logged.clear()


@pytest.fixture
def day(write: Write) -> None:
    """A day of orders, whose answer is large enough to be compressed."""
    write([order(T0 + hour * HOUR, side=side) for hour in range(24) for side in ("BUY", "SELL")])


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest, day: None) -> Way:
    return Way(request.param)


def allow_origins(settings: Any, *origins: str) -> None:
    """As CORS_ORIGINS in the environment does it."""
    settings.MIDDLEWARE = [*settings.MIDDLEWARE[:2], "corsheaders.middleware.CorsMiddleware", *settings.MIDDLEWARE[2:]]
    settings.CORS_ALLOW_ALL_ORIGINS = "*" in origins
    settings.CORS_ALLOWED_ORIGINS = [origin for origin in origins if origin != "*"]


def require_https(settings: Any) -> None:
    """As HTTPS_ONLY in the environment does it."""
    settings.SECURE_SSL_REDIRECT = settings.SECURE_HSTS_INCLUDE_SUBDOMAINS = settings.SECURE_HSTS_PRELOAD = True
    settings.SECURE_HSTS_SECONDS = 31_536_000
    settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")


ANY_REQUEST: dict[str, dict[str, str]] = {
    "plain": {},
    "gzip": {"HTTP_ACCEPT_ENCODING": "gzip, deflate"},
    "no gzip": {"HTTP_ACCEPT_ENCODING": "*, gzip;q=0"},
    "not modified": {"HTTP_IF_NONE_MATCH": "*", "HTTP_ACCEPT_ENCODING": "gzip"},
    "modified": {"HTTP_IF_NONE_MATCH": 'W/"another"'},
    "an id": {"HTTP_X_REQUEST_ID": "abc-123"},
    "a senseless id": {"HTTP_X_REQUEST_ID": "<script>"},
    "no data": {"query": NOTHING},
    "no data, not modified": {"query": NOTHING, "HTTP_IF_NONE_MATCH": "*"},
    "our page": {"HTTP_ORIGIN": PAGE},
    "another's page": {"HTTP_ORIGIN": OTHER_PAGE},
    "a page with a strange address": {"HTTP_ORIGIN": "https://[\xe9"},
    "https": {"wsgi.url_scheme": "https"},
    "https before a proxy": {"HTTP_X_FORWARDED_PROTO": "https, http"},
}


def comparable(reply: Reply) -> Reply:
    """Without what differs from one answer to the next on one way too."""
    headers = dict(reply.headers)
    assert re.fullmatch(r"[0-9a-f]{32}|abc-123", headers["X-Request-ID"])
    del headers["Age"]
    headers["X-Request-ID"] = headers["X-Request-ID"].replace("abc-123", "given")[:5]
    headers["Cache-Control"] = re.sub(r"\d+", "n", headers["Cache-Control"])
    if headers["X-Request-ID"] != "given":
        del headers["X-Request-ID"]
    return reply._replace(headers=headers)


@pytest.mark.parametrize("name", ANY_REQUEST)
@pytest.mark.parametrize("origins", [(), (PAGE,), ("*",)], ids=["no origins", "one origin", "any origin"])
def test_status_headers_and_body_are_the_same_on_every_way(
    day: None, settings: Any, name: str, origins: tuple[str, ...]
) -> None:
    if origins:
        allow_origins(settings, *origins)
    if name.startswith("https"):
        require_https(settings)
    by_view, by_middleware, before_django = (comparable(Way(way).ask_for_hit(**ANY_REQUEST[name])) for way in WAYS)
    assert by_view == by_middleware == before_django


def test_a_hit_carries_what_every_answer_carries(way: Way) -> None:
    headers = way.ask_for_hit().headers
    assert headers["Content-Type"] == "application/json"
    assert headers["Allow"] == "GET"
    assert headers["Vary"] == "Accept-Encoding"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["Referrer-Policy"] == headers["Cross-Origin-Opener-Policy"] == "same-origin"
    assert headers["Content-Security-Policy"] == "default-src 'none'; frame-ancestors 'none'"
    assert "X-RateLimit-Limit" not in headers
    assert headers["Cache-Control"].startswith("public, max-age=")
    assert int(headers["Age"]) >= 0
    assert "Access-Control-Allow-Origin" not in headers
    assert "Strict-Transport-Security" not in headers


def test_gzip_is_sent_to_who_accepts_it_and_the_same_bytes_plain_to_others(way: Way) -> None:
    zipped = way.ask_for_hit(HTTP_ACCEPT_ENCODING="gzip")
    plain = way.ask_for_hit(HTTP_ACCEPT_ENCODING="gzip;q=0")
    assert zipped.headers["Content-Encoding"] == "gzip"
    assert "Content-Encoding" not in plain.headers
    assert zlib.decompress(zipped.body, 31) == plain.body
    assert [int(reply.headers["Content-Length"]) for reply in (zipped, plain)] == [len(zipped.body), len(plain.body)]
    assert zipped.headers["ETag"] == plain.headers["ETag"]


def test_who_has_the_body_is_told_so_with_nothing_else(way: Way) -> None:
    etag = way.ask_for_hit().headers["ETag"]
    status, headers, body = way.ask_for_hit(HTTP_IF_NONE_MATCH=f'"other", {etag}', HTTP_ACCEPT_ENCODING="gzip")
    assert (status, body, headers["ETag"]) == (304, b"", etag)
    assert not {"Content-Type", "Content-Length", "Content-Encoding"} & headers.keys()


def test_no_data_is_a_hit_too_for_a_moment(way: Way) -> None:
    reply = way.ask_for_hit(NOTHING)
    assert (reply.status, reply.body) == (404, b'{"detail":"No data found for the given parameters"}')


def test_pages_of_allowed_origins_may_read_and_see_the_headers_that_tell_about_the_cache(
    way: Way, settings: Any
) -> None:
    allow_origins(settings, PAGE)
    headers = way.ask_for_hit(HTTP_ORIGIN=PAGE).headers
    assert headers["Access-Control-Allow-Origin"] == PAGE
    assert set(headers["Access-Control-Expose-Headers"].split(", ")) == {
        *("age", "etag", "x-cache", "x-request-id"),
        *("retry-after", "x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset"),
    }
    for others in ({}, {"HTTP_ORIGIN": OTHER_PAGE}):
        headers = way.ask_for_hit(**others).headers
        assert "Access-Control-Allow-Origin" not in headers
        # Proxies must not hand this answer to our page.
        assert headers["Vary"] == "Accept-Encoding, origin"


def test_a_preflight_is_answered_for_allowed_origins(way: Way, settings: Any) -> None:
    allow_origins(settings, PAGE)
    asked = {"method": "OPTIONS", "HTTP_ACCESS_CONTROL_REQUEST_METHOD": "GET"}
    way.ask_for_hit()
    allowed, refused = (way.ask(HTTP_ORIGIN=origin, **asked) for origin in (PAGE, OTHER_PAGE))
    assert (allowed.status, allowed.body) == (200, b"")
    assert allowed.headers["Access-Control-Allow-Origin"] == PAGE
    assert allowed.headers["Access-Control-Allow-Methods"] == "GET, POST"
    headers = allowed.headers["Access-Control-Allow-Headers"].split(", ")
    assert {"authorization", "content-type", "if-none-match", "x-api-key"} <= set(headers)
    assert "Access-Control-Allow-Credentials" not in allowed.headers
    assert "Access-Control-Allow-Origin" not in refused.headers
    assert way.ask(method="OPTIONS", HTTP_ORIGIN=PAGE).status == 405


def test_https_alone_sends_the_others_there(way: Way, settings: Any) -> None:
    require_https(settings)
    secure = {"HTTP_X_FORWARDED_PROTO": "https"}
    expected = "max-age=31536000; includeSubDomains; preload"
    assert way.ask_for_hit(**secure).headers["Strict-Transport-Security"] == expected
    asked: list[hits.Environ] = []
    hits.gates.append(lambda environ: asked.append(environ))
    for insecure in ({}, {"HTTP_X_FORWARDED_PROTO": "http"}, {"HTTP_X_FORWARDED_PROTO": "http, https"}):
        reply = way.ask(**insecure)
        assert reply.status == 301
        assert reply.headers["Location"].startswith("https://")
    # Nothing is looked up, and nothing counted, for an answer that is not given.
    assert not asked


@pytest.mark.filterwarnings("ignore:Unknown REQUEST_METHOD")
@pytest.mark.parametrize("method", ["POST", "HEAD", "PUT", "DELETE", "OPTIONS", "get"])
def test_only_get_meets_a_hit(way: Way, method: str) -> None:
    way.ask_for_hit()
    reply = way.ask(method=method)
    # Django takes methods in any case.
    assert reply.status == (200 if method == "get" else 405)


@pytest.mark.parametrize(
    "path", [f"{PATH}/", f"/{PATH}", PATH.upper(), f"{PATH};x", f"{PATH}\x00", "/api/./liquidations"]
)
def test_a_hit_is_at_its_own_path_alone(way: Way, path: str) -> None:
    way.ask_for_hit()
    assert "X-Cache" not in way.ask(path=path).headers


def test_a_service_below_a_prefix_has_the_same_hits(way: Way) -> None:
    assert way.ask_for_hit(SCRIPT_NAME="/below").status == 200
    assert "X-Cache" not in way.ask(path="/other" + PATH, SCRIPT_NAME="/below").headers


def test_without_a_query_string_there_is_an_empty_one(way: Way) -> None:
    assert way.ask_for_hit("", path="/api/symbols").body == b'["BTCUSDT"]'


@pytest.mark.parametrize(
    "query",
    [
        f"{urlencode(WINDOW)}&symbol=%FF%FE",
        f"{urlencode(WINDOW)}&x=\xff\xfe",
        f"{urlencode(WINDOW)}&x=%00",
        f"{urlencode(WINDOW)}&{'&' * 100}",
        f"{urlencode(WINDOW)}&x={'y' * hits.MAX_QUERY_CHARACTERS}",
        "symbol=%ED%A0%80&timeframe=1h&start_timestamp=1&end_timestamp=2",
    ],
)
def test_strange_queries_are_answered_the_same_again(way: Way, query: str) -> None:
    first, second = way.ask(query), way.ask(query)
    assert first.status in (200, 400, 404)
    assert (first.status, first.body) == (second.status, second.body)


def test_a_query_that_is_refused_is_never_remembered(way: Way) -> None:
    for query in (
        "",
        "symbol=BTCUSDT",
        f"{urlencode(WINDOW)}&timeframe=1w",
        urlencode(WINDOW | {"end_timestamp": "-5"}),
    ):
        assert way.ask(query).status in (400, 422)
    assert not hits.remembered


def test_nothing_is_remembered_of_what_is_not_kept(day: None, settings: Any) -> None:
    settings.CACHE_TTL_SECONDS = settings.CACHE_TTL_HISTORICAL_SECONDS = 0
    for name in WAYS:
        assert [Way(name).ask().headers["X-Cache"] for _ in range(2)] == ["bypass", "bypass"]
    settings.CACHE_ENABLED = False
    assert Way("before Django").ask().headers["X-Cache"] == "bypass"
    assert not hits.remembered


def test_what_is_remembered_is_bounded_and_the_oldest_goes_first() -> None:
    for number in range(hits.MAX_REMEMBERED + 10):
        hits.remember(PATH, str(number), KEY)
    hits.remember(PATH, "x" * (hits.MAX_QUERY_CHARACTERS + 1), KEY)
    assert len(hits.remembered) == hits.MAX_REMEMBERED
    assert next(iter(hits.remembered)) == (PATH, "10")


def test_threads_may_remember_at_the_same_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hits, "MAX_REMEMBERED", 10)

    def remember_many(thread: int) -> None:
        for number in range(2000):
            hits.remember(PATH, f"{thread}:{number}", KEY)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(remember_many, range(8)))
    assert len(hits.remembered) == 10


def test_a_hit_is_not_logged(way: Way, caplog: pytest.LogCaptureFixture) -> None:
    way.ask_for_hit()
    caplog.clear()
    way.ask_for_hit()
    lines = [record for record in caplog.records if record.name == "liqui.request"]
    # What the view answers has the line that every request has; of its two requests the first was a fast one.
    assert len(lines) == (1 if way.name == "view" else 0)


def test_a_gate_that_says_no_sends_the_request_to_its_view(way: Way) -> None:
    """One answer for each client."""
    counts: dict[str, int] = {}

    def within_limit(environ: hits.Environ) -> list[tuple[str, str]] | None:
        client = environ["REMOTE_ADDR"]
        counts[client] = counts.get(client, 0) + 1
        return [] if counts[client] <= 1 else None

    way.ask_for_hit(REMOTE_ADDR="10.0.0.1")
    hits.remember(PATH, urlencode(WINDOW), next(iter(hits.remembered.values())))
    hits.gates.append(within_limit)
    seen = way.seen_by_django
    for client in ("10.0.0.1", "10.0.0.2", "10.0.0.1"):
        assert way.ask(REMOTE_ADDR=client).headers["X-Cache"] == "hit"
    if way.name == "before Django":
        assert way.seen_by_django - seen == 1
    assert counts == {"10.0.0.1": 2, "10.0.0.2": 1}


def test_an_error_of_our_own_is_logged_once_and_the_answer_is_the_views(
    day: None, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(environ: hits.Environ) -> None:
        raise RuntimeError("a gate is broken")

    way = Way("before Django")
    way.ask()
    hits.gates.append(broken)
    assert [way.ask().status for _ in range(3)] == [200, 200, 200]
    assert [record.levelname for record in caplog.records if record.name == "liqui.hits"] == ["ERROR"]


@pytest.fixture
def limited(settings: Any, day: None) -> None:
    """Three requests of a client, and then no more for a minute."""
    settings.RATE_LIMIT_PER_MINUTE, settings.RATE_LIMIT_BURST = 1, 3
    hits.gates.append(limits.gate)
    buckets.cache_clear()


def any_client() -> str:
    """Buckets in Redis outlive a test."""
    return f"2001:db8:{token_hex(2)}:{token_hex(2)}::1"


@pytest.mark.contract("C92")
@pytest.mark.parametrize("variables", [{}, {"HTTP_IF_NONE_MATCH": "*"}, {"query": NOTHING}], ids=["200", "304", "404"])
def test_a_hit_says_how_many_are_left_and_is_counted_once(limited: None, variables: dict[str, str]) -> None:
    replies = []
    for name in WAYS:
        way, client = Way(name), any_client()
        way.ask_for_hit(REMOTE_ADDR=any_client(), **variables)
        if name == "view":
            hits.remembered.clear()
        reply = way.ask(REMOTE_ADDR=client, **variables)
        assert reply.headers["X-Cache"] == "hit"
        assert [reply.headers[f"X-RateLimit-{each}"] for each in ("Limit", "Remaining", "Reset")] == ["3", "2", "60"]
        replies.append(comparable(reply))
        left = [way.ask(REMOTE_ADDR=client, **variables).headers["X-RateLimit-Remaining"] for _ in range(2)]
        assert left == ["1", "0"]
    assert replies[0] == replies[1] == replies[2]


@pytest.mark.contract("C92")
@pytest.mark.parametrize("name", WAYS)
def test_a_hit_too_many_is_refused_and_counted_once(limited: None, name: str) -> None:
    def refusals() -> float:
        return REGISTRY.get_sample_value("liqui_rate_limited_total", {"kind": "anonymous"}) or 0

    way, client, before = Way(name), any_client(), refusals()
    way.ask_for_hit(REMOTE_ADDR=any_client())
    for _ in range(3):
        if name == "view":
            hits.remembered.clear()
        assert way.ask(REMOTE_ADDR=client).status == 200
    reply = way.ask(REMOTE_ADDR=client)
    assert reply.status == 429
    assert reply.headers["Retry-After"] == "60"
    assert reply.headers["X-RateLimit-Remaining"] == "0"
    assert "X-Cache" not in reply.headers
    assert refusals() == before + 1
    assert way.ask(REMOTE_ADDR=any_client()).status == 200


def counted() -> dict[tuple[str, Any], float]:
    """Requests and answers as Prometheus shows them, without how long they took."""
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for metric in REGISTRY.collect()
        if metric.name.startswith(("django_http", "liqui_cache"))
        for sample in metric.samples
        if not ("latency" in metric.name and sample.name.endswith(("_bucket", "_sum")))
    }


@pytest.mark.parametrize("variables", [{}, {"HTTP_IF_NONE_MATCH": "*"}, {"query": NOTHING}], ids=["200", "304", "404"])
def test_a_hit_is_counted_once_and_alike_on_every_way(day: None, variables: dict[str, str]) -> None:
    changes = []
    for name in WAYS:
        way = Way(name)
        way.ask_for_hit(**variables)
        if name == "view":
            hits.remembered.clear()
        before = counted()
        way.ask(**variables)
        changes.append(
            {
                sample: value - before.get(sample, 0)
                for sample, value in counted().items()
                if value != before.get(sample)
            }
        )
    by_view, by_middleware, before_django = changes
    assert by_view == by_middleware == before_django
    assert by_view["django_http_requests_before_middlewares_total", ()] == 1
    assert by_view["django_http_requests_latency_including_middlewares_seconds_count", ()] == 1
    assert by_view["liqui_cache_requests_total", (("namespace", "liq"), ("result", "hit"))] == 1


def test_what_has_changed_is_no_hit(way: Way, write: Write) -> None:
    before = way.ask_for_hit()
    write([order(T0 + 5, quantity="7")])
    after = way.ask()
    assert after.headers["X-Cache"] == "miss"
    assert after.body != before.body
    assert store().read(next(iter(hits.remembered.values()))).entry is not None
