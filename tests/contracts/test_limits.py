"""Rate limits: row C92, as clients of HTTP meet them. (Cached hits: tests/liqui/test_hits.py; threads and processes:
tests/accounts/test_limits_stores.py.)"""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from secrets import token_hex
from typing import Any

import httpx
import pytest
from django.contrib.auth.models import Group, User
from django.test import Client

from accounts.audit import SYSTEM
from accounts.keys import key_create
from accounts.limits import buckets
from accounts.limits.bucket import Rate
from accounts.models import ApiKey
from accounts.roles import Role
from cachemgmt import hits
from liqui import limits
from tests.backend import IS_SQLITE
from tests.live import KINDS, ServerKind, serving

pytestmark = [pytest.mark.contract("C92"), pytest.mark.django_db]

BURST = 3
SKIPPED = ["/", "/health", "/docs", "/redoc", "/openapi.json", "/metrics", "/api/metrics", "/static/liqui/feed.js"]
New = Callable[..., Client]


def any_address() -> str:
    """Buckets in Redis outlive a test."""
    return f"2001:db8:{token_hex(2)}:{token_hex(2)}::1"


@pytest.fixture(autouse=True)
def gates() -> Iterator[None]:
    """Which are there is decided when a process starts."""
    before = [*hits.gates]
    yield
    hits.gates[:] = before


def limit_to(settings: Any, per_minute: int, burst: int) -> None:
    """As the environment does it."""
    settings.RATE_LIMIT_PER_MINUTE, settings.RATE_LIMIT_BURST = per_minute, burst
    hits.gates.append(limits.gate)
    buckets.cache_clear()


@pytest.fixture
def new(settings: Any) -> New:
    """Clients of a service that lets three requests of each pass, and then no more for a minute."""
    limit_to(settings, 1, BURST)

    def client(address: str | None = None, **headers: str) -> Client:
        return Client(REMOTE_ADDR=address or any_address(), headers=headers)

    return client


def statuses(client: Client, count: int, path: str = "/api/symbols") -> list[int]:
    return [client.get(path).status_code for _ in range(count)]


def test_a_hundred_requests_a_minute_pass_and_the_next_are_refused(settings: Any) -> None:
    limit_to(settings, 100, 100)
    client, began = Client(REMOTE_ADDR=any_address()), time.monotonic()
    responses = [client.get("/api/symbols") for _ in range(130)]
    brought = int((time.monotonic() - began) * 100 / 60) + 1
    allowed = [response for response in responses if response.status_code == 200]
    assert 100 <= len(allowed) <= 100 + brought
    assert all(response.status_code == 200 for response in responses[:100])
    assert [response["X-RateLimit-Limit"] for response in allowed] == ["100"] * len(allowed)
    assert responses[0]["X-RateLimit-Remaining"] == "99"


def test_a_refusal_says_when_to_come_again(new: New) -> None:
    client = new()
    assert statuses(client, BURST) == [200] * BURST
    response = client.get("/api/symbols")
    assert response.status_code == 429
    assert response.json() == {"detail": "Too many requests: 1 a minute are allowed; try again in 60 s"}
    said = {name: value for name, value in response.headers.items() if name.startswith(("X-RateLimit", "Retry"))}
    assert said == {
        "Retry-After": "60",
        "X-RateLimit-Limit": "3",
        "X-RateLimit-Remaining": "0",
        "X-RateLimit-Reset": "180",
    }
    assert response["X-Request-ID"]
    assert response["X-Content-Type-Options"] == "nosniff"


def test_who_waits_as_long_as_told_may_go_on(new: New, settings: Any) -> None:
    client = new()
    settings.RATE_LIMIT_PER_MINUTE = 60
    assert statuses(client, BURST + 1)[-1] == 429
    time.sleep(int(client.get("/api/symbols")["Retry-After"]))
    assert statuses(client, 1) == [200]


@pytest.mark.parametrize(
    ("path", "extra"),
    [
        ("/api/symbols", {}),
        ("/nothing", {}),
        ("/api/v1/gaps", {"status_code": 429}),
        ("/api/cache/stats", {}),
        ("/api/v1/cache/x", {}),
    ],
)
def test_the_refusal_has_the_shape_of_its_namespace(new: New, path: str, extra: dict[str, int]) -> None:
    client = new()
    statuses(client, BURST, path)
    response = client.get(path)
    assert response.status_code == 429
    assert response["Content-Type"] == "application/json"
    detail = "Too many requests: 1 a minute are allowed; try again in 60 s"
    assert response.json() == {"detail": detail, **extra}


def test_every_answer_says_how_many_are_left_whatever_it_is(new: New) -> None:
    client = new()
    for left, path, status in (("2", "/api/liquidations", 422), ("1", "/nothing", 404), ("0", "/api/symbols/", 307)):
        response = client.get(path)
        assert (response.status_code, response["X-RateLimit-Remaining"]) == (status, left)


@pytest.mark.parametrize("path", SKIPPED)
def test_what_everybody_looks_at_is_never_counted(new: New, path: str) -> None:
    client = new()
    for _ in range(BURST + 2):
        response = client.get(path)
        assert response.status_code == 200
        assert "X-RateLimit-Limit" not in response
        assert response.getvalue()
    assert client.get("/api/symbols")["X-RateLimit-Remaining"] == "2"


@pytest.mark.parametrize("path", ["/health/", "/static", "/docs/x", "/HEALTH", "/metrics/"])
def test_what_only_looks_like_it_is_counted(new: New, path: str) -> None:
    assert new().get(path)["X-RateLimit-Remaining"] == "2"


def test_addresses_have_limits_of_their_own_and_an_ipv6_network_has_one(new: New) -> None:
    assert statuses(new("2001:db8:a:b::1"), 1) == statuses(new("203.0.113.77"), 1) == [200]
    site = any_address().removesuffix("1")
    assert [statuses(new(f"{site}{number}"), 1)[0] for number in range(4)] == [200, 200, 200, 429]


def test_a_forged_address_is_no_way_around(new: New) -> None:
    address = any_address()
    forged = [new(address, X_Forwarded_For=any_address()) for _ in range(4)]
    assert [statuses(client, 1)[0] for client in forged] == [200, 200, 200, 429]


def test_behind_a_proxy_of_ours_the_last_hop_is_counted_and_what_the_client_has_put_before_it_is_not(new: New) -> None:
    address = any_address()
    clients = [new("127.0.0.1", X_Forwarded_For=f"{any_address()}, {address}") for _ in range(4)]
    assert [statuses(client, 1)[0] for client in clients] == [200, 200, 200, 429]
    assert statuses(new("127.0.0.1", X_Forwarded_For=any_address()), 1) == [200]


def new_key() -> str:
    return key_create("limits", ApiKey.Scope.READ, None, None, SYSTEM)[1]


def test_a_key_has_a_limit_of_its_own_wherever_it_is_used(new: New) -> None:
    key, other = new_key(), new_key()
    address = any_address()
    assert [statuses(new(X_API_Key=key), 1)[0] for _ in range(4)] == [200, 200, 200, 429]
    assert statuses(new(address, X_API_Key=other), 1) == [200]
    assert new(address).get("/api/symbols")["X-RateLimit-Remaining"] == "2"


def test_who_guesses_keys_is_counted_by_address(new: New) -> None:
    address = any_address()
    guesses = [new(address, X_API_Key=f"liqui_{token_hex(4)}_{token_hex(16)}") for _ in range(4)]
    assert [statuses(client, 1)[0] for client in guesses] == [401, 401, 401, 429]


def test_the_console_is_not_counted_for_those_who_may_see_it(new: New) -> None:
    viewer = User.objects.create_user("viewer", password="of no importance")
    viewer.groups.add(Group.objects.get(name=Role.VIEWER.label))
    client = new()
    client.force_login(viewer)
    assert 429 not in statuses(client, BURST + 2, "/admin/")
    stranger = new()
    assert statuses(stranger, BURST + 1, "/admin/login/")[-1] == 429
    nobody = new()
    nobody.force_login(User.objects.create_user("nobody"))
    assert statuses(nobody, BURST + 1, "/admin/")[-1] == 429


def test_pages_of_other_origins_may_read_the_refusal(new: New, settings: Any) -> None:
    settings.MIDDLEWARE = ["corsheaders.middleware.CorsMiddleware", *settings.MIDDLEWARE]
    settings.CORS_ALLOWED_ORIGINS = ["https://page.example"]
    client = new(Origin="https://page.example")
    asked = {"Access-Control-Request-Method": "GET"}
    for _ in range(BURST + 1):
        # What a browser asks first is not counted.
        assert client.options("/api/symbols", headers=asked).status_code == 200
    statuses(client, BURST)
    refused = client.get("/api/symbols")
    assert refused.status_code == 429
    assert refused["Access-Control-Allow-Origin"] == "https://page.example"
    assert "retry-after" in refused["Access-Control-Expose-Headers"]


def test_health_says_what_is_counted_and_where(new: New) -> None:
    component = new().get("/health").json()["components"]["limits"]
    assert component["status"] == "healthy"
    assert component["message"].startswith("1 requests a minute, 3 at once, counted in ")
    assert component["message"].endswith("local memory") == IS_SQLITE


def test_health_says_so_when_there_is_no_limit(client: Client) -> None:
    assert client.get("/health").json()["components"]["limits"] == {"status": "disabled", "message": "no rate limit"}


def test_without_a_limit_nothing_is_said_of_one(client: Client) -> None:
    for _ in range(5):
        assert "X-RateLimit-Limit" not in client.get("/api/symbols")


def test_when_nothing_can_be_counted_everything_passes_and_health_says_so(
    new: New, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Away:
        name, trouble = "Redis cache:6379", "Redis cache:6379 does not answer in time (Timeout)"

        def spend(self, client: str, rate: Rate) -> None:
            return None

    monkeypatch.setattr("liqui.limits.buckets", Away)
    client = new()
    responses = [client.get("/api/symbols") for _ in range(BURST + 3)]
    assert [response.status_code for response in responses] == [200] * (BURST + 3)
    assert not any("X-RateLimit-Limit" in response for response in responses)
    health = client.get("/health").json()
    assert health["status"] == "healthy"
    component = health["components"]["limits"]
    assert component["status"] == "degraded"
    assert component["message"] == f"1 requests a minute, 3 at once: not enforced now ({Away.trouble})"


@pytest.mark.parametrize("kind", KINDS)
def test_a_server_counts_hits_and_misses_of_a_client_together(
    kind: ServerKind, transactional_db: None, tmp_path: Path
) -> None:
    limit = {"RATE_LIMIT_PER_MINUTE": "1", "RATE_LIMIT_BURST": "6"}
    with serving(kind, tmp_path, **limit) as server, httpx.Client(base_url=server.root) as client:
        client.headers["X-Forwarded-For"] = any_address()
        replies = [client.get("/api/symbols") for _ in range(5)]
        assert [reply.headers["X-RateLimit-Remaining"] for reply in replies] == ["5", "4", "3", "2", "1"]
        assert replies[4].headers["X-Cache"] == "hit"
        assert client.get("/api/liquidations").headers["X-RateLimit-Remaining"] == "0"
        for path in ("/api/symbols", "/api/liquidations"):
            assert client.get(path).status_code == 429
        assert 'liqui_rate_limited_total{kind="anonymous"} 2.0' in client.get("/metrics").text
        client.headers["X-Forwarded-For"] = any_address()
        assert client.get("/api/symbols").status_code == 200
