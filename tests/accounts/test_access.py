"""Who may do what: every route, method and socket of the project against every kind of caller.

`API`, `PAGES`, `MODELS` and `SOCKETS` classify them all. A route that is in none of them fails the tests: whoever adds
one says here whom it is for.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as configured
from django.contrib import admin
from django.contrib.auth.models import User
from django.test import Client
from django.urls import get_resolver
from django_celery_beat.models import CrontabSchedule, IntervalSchedule, PeriodicTask
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from accounts.audit import SYSTEM, record
from accounts.models import ApiKey, AuditEntry
from accounts.roles import Role
from accounts.tokens import tokens_issue
from streams.routing import websockets
from tests.accounts.people import api_key, bearer, user_make
from tests.cache import TOKEN
from tests.live import LiveServer, serving

ANYBODY, USER, VIEWER, OPERATOR, ADMINISTRATOR = Role
METHODS = ("GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE")
PUBLIC = None  # credentials are not looked at
READS = "reads"  # what READ_ACCESS says

# Route as Django has it: an address to ask, the methods that it answers, whom it is for.
API: dict[str, tuple[str, str, Any]] = {
    "": ("/", "GET", PUBLIC),
    "health": ("/health", "GET", PUBLIC),
    "metrics": ("/metrics", "GET", PUBLIC),
    "api/metrics": ("/api/metrics", "GET", PUBLIC),
    "api/schema/": ("/api/schema/", "GET HEAD OPTIONS", PUBLIC),
    "openapi.json": ("/openapi.json", "GET HEAD OPTIONS", PUBLIC),
    "docs": ("/docs", "GET HEAD OPTIONS", PUBLIC),
    "redoc": ("/redoc", "GET HEAD OPTIONS", PUBLIC),
    "api/^liquidations$": ("/api/liquidations", "GET", READS),
    "api/^symbols$": ("/api/symbols", "GET", READS),
    "api/^liquidation-orders$": ("/api/liquidation-orders", "GET", READS),
    "api/^liquidation-orders/stream$": ("/api/liquidation-orders/stream", "GET", READS),
    "api/v1/gaps": ("/api/v1/gaps", "GET", READS),
    "api/v1/symbols": ("/api/v1/symbols", "GET", READS),
    "api/v1/symbol-cache-stats": ("/api/v1/symbol-cache-stats", "GET", READS),
    "api/v1/refresh-symbols": ("/api/v1/refresh-symbols", "POST", OPERATOR),
    "api/v1/orderbook/<str:symbol>": ("/api/v1/orderbook/BTCUSDT", "GET", READS),
    "api/v1/trades/<str:symbol>": ("/api/v1/trades/BTCUSDT", "GET", READS),
    "api/v1/candles/<str:symbol>": ("/api/v1/candles/BTCUSDT", "GET", READS),
    "api/v1/udf/config": ("/api/v1/udf/config", "GET", READS),
    "api/v1/udf/symbols": ("/api/v1/udf/symbols?symbol=BTCUSDT", "GET", READS),
    "api/v1/udf/symbol_info": ("/api/v1/udf/symbol_info", "GET", READS),
    "api/v1/udf/search": ("/api/v1/udf/search", "GET", READS),
    "api/v1/udf/history": ("/api/v1/udf/history?symbol=BTCUSDT&resolution=1&from=0&to=60", "GET", READS),
    "api/v1/udf/marks": ("/api/v1/udf/marks?symbol=BTCUSDT&from=0&to=60&resolution=1", "GET", READS),
    "api/v1/udf/time": ("/api/v1/udf/time", "GET", READS),
    "api/v1/liquidation-volume/<str:symbol>/<str:timeframe>": ("/api/v1/liquidation-volume/BTCUSDT/1h", "GET", READS),
    "api/v1/auth/register": ("/api/v1/auth/register", "POST", PUBLIC),
    "api/v1/auth/login": ("/api/v1/auth/login", "POST", PUBLIC),
    "api/v1/auth/refresh": ("/api/v1/auth/refresh", "POST", PUBLIC),
    "api/v1/auth/logout": ("/api/v1/auth/logout", "POST", PUBLIC),
    "api/v1/auth/me": ("/api/v1/auth/me", "GET", USER),
    "api/cache/stats": ("/api/cache/stats", "GET", OPERATOR),
    "api/cache/clear": ("/api/cache/clear", "POST", OPERATOR),
    r"api/cache/^invalidate/symbol/(?P<symbol>(?s:.*)[^/])\Z": ("/api/cache/invalidate/symbol/X", "POST", OPERATOR),
    "api/cache/invalidate/symbols": ("/api/cache/invalidate/symbols", "POST", OPERATOR),
    "api/cache/warm": ("/api/cache/warm", "POST", OPERATOR),
}

# Pages of the console, without admin/: an address to ask, whom it is for.
PAGES: dict[str, tuple[str, Role | None]] = {
    "": ("", VIEWER),
    "search/": ("search/", VIEWER),
    "bars": ("bars", VIEWER),
    "bars/verify": ("bars/verify", OPERATOR),
    "bars/rebuild": ("bars/rebuild", OPERATOR),
    "bars/repair/<int:job_id>": ("bars/repair/1", OPERATOR),
    "cache": ("cache", VIEWER),
    "cache/figures": ("cache/figures", VIEWER),
    "cache/warm": ("cache/warm", OPERATOR),
    "cache/retry": ("cache/retry", OPERATOR),
    "cache/keys": ("cache/keys", VIEWER),
    "cache/key": ("cache/key", VIEWER),
    "cache/remove": ("cache/remove", OPERATOR),
    "collector": ("collector", VIEWER),
    "collector/part": ("collector/part", VIEWER),
    "collector/ask/<slug:action>": ("collector/ask/retry", OPERATOR),
    "dashboard/<slug:name>": ("dashboard/health", VIEWER),
    "gaps": ("gaps", VIEWER),
    "import": ("import", VIEWER),
    "import/upload": ("import/upload", OPERATOR),
    "instruments": ("instruments", VIEWER),
    "instruments/add": ("instruments/add", OPERATOR),
    "instruments/switch": ("instruments/switch", OPERATOR),
    "instruments/sync": ("instruments/sync", OPERATOR),
    "jobs": ("jobs", VIEWER),
    "jobs/<int:pk>": ("jobs/1", VIEWER),
    "jobs/<int:pk>/part": ("jobs/1/part", VIEWER),
    "jobs/<int:pk>/progress": ("jobs/1/progress", VIEWER),
    "jobs/<int:pk>/again": ("jobs/1/again", OPERATOR),
    "jobs/<int:pk>/file": ("jobs/1/file", VIEWER),
    "orders": ("orders", VIEWER),
    "orders/export": ("orders/export", VIEWER),
    "slow-queries": ("slow-queries", VIEWER),
    "password_change/": ("password_change/", VIEWER),
    "password_change/done/": ("password_change/done/", VIEWER),
    "autocomplete/": ("autocomplete/", None),  # no form asks for it
    "r/<path:content_type_id>/<path:object_id>/": ("r/1/1/", VIEWER),
    "accounts/apikey/<int:key_id>/revoke/": ("accounts/apikey/PK/revoke/", ADMINISTRATOR),
    "auth/user/<id>/password/": ("auth/user/PK/password/", ADMINISTRATOR),
    "^(?P<app_label>accounts|auth|django_celery_beat)/$": ("accounts/", VIEWER),
    "(?P<url>.*)$": ("nothing-of-this-name/", VIEWER),
}
# Everybody gets in here: it is how one does.
OPEN_PAGES = {"login/", "logout/", "jsi18n/"}

NOBODY = None
# Who sees, adds, changes, removes.
MODELS: dict[str, tuple[Role, Role | None, Role | None, Role | None]] = {
    "accounts.apikey": (ADMINISTRATOR, ADMINISTRATOR, NOBODY, NOBODY),
    "accounts.auditentry": (VIEWER, NOBODY, NOBODY, NOBODY),
    "auth.user": (ADMINISTRATOR, ADMINISTRATOR, ADMINISTRATOR, NOBODY),
    "django_celery_beat.periodictask": (ADMINISTRATOR, ADMINISTRATOR, ADMINISTRATOR, ADMINISTRATOR),
    "django_celery_beat.intervalschedule": (ADMINISTRATOR, ADMINISTRATOR, ADMINISTRATOR, ADMINISTRATOR),
    "django_celery_beat.crontabschedule": (ADMINISTRATOR, ADMINISTRATOR, ADMINISTRATOR, ADMINISTRATOR),
}
MODEL_ROUTES = ("", "add/", "PK/history/", "PK/delete/", "PK/change/", "PK/")

# Path of a socket, by its route. All of them are what READ_ACCESS says.
SOCKETS = {
    "api/v1/ws/liquidations": "/api/v1/ws/liquidations",
    "api/v1/ws/liquidations/<str:symbol>": "/api/v1/ws/liquidations/BTCUSDT",
    "api/v1/ws/orderbook": "/api/v1/ws/orderbook?symbol=BTCUSDT",
    "api/v1/ws/orderbook/<str:symbol>": "/api/v1/ws/orderbook/BTCUSDT",
    "api/v1/ws/trades": "/api/v1/ws/trades?symbol=BTCUSDT",
    "api/v1/ws/trades/<str:symbol>": "/api/v1/ws/trades/BTCUSDT",
    "api/v1/ws/candles": "/api/v1/ws/candles?symbol=BTCUSDT&timeframe=1m",
    "api/v1/ws/candles/<str:symbol>": "/api/v1/ws/candles/BTCUSDT?timeframe=1m",
    "api/v1/ws/candles/<str:symbol>/<str:timeframe>": "/api/v1/ws/candles/BTCUSDT/1m",
    "api/v1/ws/test": "/api/v1/ws/test",
    "": "/api/v1/ws/nothing-of-this-name",
}
UNAUTHORIZED = 4001


@dataclass(frozen=True)
class Kind:
    """A kind of caller: what it may, and how it says who it is."""

    role: Role
    headers: Callable[[], dict[str, str]] = dict
    signs_in: bool = False
    is_bad: bool = False


def person(*groups: str) -> Callable[[], dict[str, str]]:
    return lambda: bearer(user_make("-".join(groups) or "plain", *groups))


KINDS = {
    "anonymous": Kind(ANYBODY),
    "a bad token": Kind(ANYBODY, lambda: {"Authorization": "Bearer a.b.c"}, is_bad=True),
    "a bad key": Kind(ANYBODY, lambda: {"X-API-Key": "liqui_00000000_x"}, is_bad=True),
    "a bad LIQUI_TOKEN": Kind(ANYBODY, lambda: {"X-Liqui-Token": "wrong"}, is_bad=True),
    "user": Kind(USER, person()),
    "read key": Kind(USER, lambda: api_key("read")),
    "operate key": Kind(OPERATOR, lambda: api_key("operate")),
    "operate key of a viewer": Kind(VIEWER, lambda: api_key("operate", user_make("viewer", "viewer"))),
    "viewer": Kind(VIEWER, person("viewer")),
    "operator": Kind(OPERATOR, person("operator")),
    "administrator": Kind(ADMINISTRATOR, person("administrator")),
    "LIQUI_TOKEN": Kind(OPERATOR, lambda: {"X-Liqui-Token": TOKEN}),
    "viewer's session": Kind(VIEWER, signs_in=True),
    "operator's session": Kind(OPERATOR, signs_in=True),
}


def routes(patterns: Any = None, prefix: str = "") -> Iterator[str]:
    for pattern in get_resolver().url_patterns if patterns is None else patterns:
        route = f"{prefix}{pattern.pattern}"
        if hasattr(pattern, "url_patterns"):
            yield from routes(pattern.url_patterns, route)
        else:
            yield route


def classified() -> set[str]:
    models = {name.replace(".", "/") + "/" for name in MODELS}
    of_models = {
        f"admin/{model}{route.replace('PK', '<path:object_id>')}" for model, route in product(models, MODEL_ROUTES)
    }
    return set(API) | {f"admin/{route}" for route in {*PAGES, *OPEN_PAGES}} | of_models


def test_every_route_is_classified() -> None:
    assert set(routes()) == classified(), "say in tests/accounts/test_access.py whom it is for"


def test_every_page_over_a_model_is_classified() -> None:
    assert {model._meta.label_lower for model in admin.site._registry} == set(MODELS)


def test_every_socket_is_classified() -> None:
    assert {str(route.pattern) for route in websockets.application.routes} == set(SOCKETS)


def role_for(needed: Any) -> Role | None:
    if needed == READS:
        return USER if configured.READ_ACCESS == "closed" else ANYBODY
    return needed


def expected(kind: Kind, method: str, methods: str, needed: Role | None) -> str:
    if method not in methods.split():
        return "405"
    if needed is PUBLIC:
        return "answered"
    if kind.is_bad:
        return "401"
    if kind.role >= needed:
        return "answered"
    return "401" if kind.role == ANYBODY else "403"


def answered(response: Any, *, is_public: bool) -> str:
    """What became of a request; public endpoints have 401 and 403 of their own, about what is in the body."""
    status = response.status_code
    if status == 405 or (status in (401, 403) and not is_public):
        return str(status)
    return "answered"


@pytest.mark.parametrize("read_access", ["open", "closed"])
@pytest.mark.parametrize("kind", KINDS.values(), ids=list(KINDS))
def test_the_api_answers_who_may_and_tells_401_from_403(db: None, settings: Any, kind: Kind, read_access: str) -> None:
    settings.READ_ACCESS, settings.LIQUI_TOKEN = read_access, TOKEN
    client, headers = Client(raise_request_exception=False), kind.headers()
    if kind.signs_in:
        client.force_login(user_make("signed-in", kind.role.label))
    for (path, methods, needed), method in product(API.values(), METHODS):
        response: Any = client.generic(method, path, headers=headers)
        wanted = expected(kind, method, methods, role_for(needed))
        assert answered(response, is_public=needed is PUBLIC) == wanted, f"{method} {path}: {response.status_code}"
        if response.status_code == 401 and needed is not PUBLIC:
            assert response.headers["WWW-Authenticate"].startswith("Bearer"), f"{method} {path}"


@pytest.mark.parametrize("method", METHODS)
def test_what_is_not_there_is_404_for_everybody(db: None, method: str) -> None:
    for headers in ({}, bearer(user_make("administrator", "administrator"))):
        assert Client().generic(method, "/nothing", headers=headers).status_code == 404


# The console.


def pages() -> list[tuple[str, Role | None, Role | None]]:
    """Address below /admin/, who may GET and who may POST."""
    found: list[tuple[str, Role | None, Role | None]] = [(path, role, role) for path, role in PAGES.values()]
    for name, (views, adds, changes, deletes) in MODELS.items():
        base = name.replace(".", "/") + "/"
        found += [
            (base, views, views),
            (f"{base}add/", adds, adds),
            (f"{base}PK/history/", views, views),
            (f"{base}PK/delete/", deletes, deletes),
            (f"{base}PK/change/", views, changes),
            (f"{base}PK/", VIEWER, VIEWER),
        ]
    return found


@pytest.fixture
def keys(db: None) -> dict[str, str]:
    """A row of each model, by the beginning of its pages."""
    every = IntervalSchedule.objects.create(every=9, period="minutes")
    record(SYSTEM, "test.access")
    return {
        "accounts/apikey": str(ApiKey.objects.create(name="x", prefix="liqui_x", digest="x").pk),
        "accounts/auditentry": str(AuditEntry.objects.latest("pk").pk),
        "auth/user": str(User.objects.create_user("somebody").pk),
        "django_celery_beat/periodictask": str(PeriodicTask.objects.create(name="x", task="x", interval=every).pk),
        "django_celery_beat/intervalschedule": str(IntervalSchedule.objects.create(every=11, period="days").pk),
        "django_celery_beat/crontabschedule": str(CrontabSchedule.objects.create(minute="7").pk),
    }


def page_answered(response: Any) -> str:
    if response.status_code == 302 and response.headers["Location"].startswith("/admin/login/"):
        return "sign in"
    return str(response.status_code) if response.status_code in (403, 405) else "answered"


def page_expected(role: Role, needed: Role | None) -> tuple[str, ...]:
    if role < VIEWER:
        return ("sign in",)
    # A method that a page does not have is refused too.
    return ("answered", "405") if needed is not None and role >= needed else ("403", "405")


@pytest.mark.parametrize("role", list(Role), ids=lambda role: role.label)
def test_the_console_shows_each_role_its_pages_and_no_others(keys: dict[str, str], role: Role) -> None:
    someone = None if role == ANYBODY else user_make("someone", role.label)
    for (path, gets, posts), method in product(pages(), ("GET", "POST")):
        model = "/".join(path.split("/")[:2])
        address = f"/admin/{path.replace('PK', keys.get(model, ''))}"
        browser = Client(raise_request_exception=False)
        if someone is not None:
            browser.force_login(someone)
        wanted = page_expected(role, gets if method == "GET" else posts)
        response = browser.generic(method, address)
        assert page_answered(response) in wanted, f"{method} {address} as {role.label}: {response.status_code}"


@pytest.mark.parametrize("kind", ["administrator", "operate key", "LIQUI_TOKEN"])
def test_the_console_wants_a_session_whatever_the_headers_say(db: None, settings: Any, kind: str) -> None:
    settings.LIQUI_TOKEN = TOKEN
    headers = KINDS[kind].headers()
    for path, _ in PAGES.values():
        response = Client().get(f"/admin/{path}", headers=headers)
        assert page_answered(response) == "sign in", path


def test_who_has_no_role_in_the_console_cannot_sign_in_to_it(db: None) -> None:
    user_make("plain", password="pass of plain")
    User.objects.create_user("staff", password="pass of staff", is_staff=True)
    for name in ("plain", "staff"):
        answer: Any = Client().post("/admin/login/", {"username": name, "password": f"pass of {name}"})
        assert answer.status_code == 200
        assert "no role" in answer.content.decode()


# Sockets.


@pytest.fixture(scope="module", params=["open", "closed"])
def server(
    request: pytest.FixtureRequest, django_db_setup: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[LiveServer, str]]:
    secrets = {"SECRET_KEY": configured.SECRET_KEY, "JWT_SECRET": configured.SIMPLE_JWT["SIGNING_KEY"]}
    home: Path = tmp_path_factory.mktemp("access")
    with serving("asgi", home, READ_ACCESS=request.param, LIQUI_TOKEN=TOKEN, **secrets) as live:
        yield live, request.param


def is_admitted(live: LiveServer, path: str, headers: dict[str, str]) -> bool:
    url = f"ws://127.0.0.1:{live.port}{path}"
    with connect(url, additional_headers=headers, compression=None, close_timeout=1) as socket:
        try:
            socket.recv(timeout=10)
            socket.recv(timeout=0.3)
        except TimeoutError:
            return True
        except ConnectionClosed as end:
            return end.rcvd is None or end.rcvd.code != UNAUTHORIZED
    return True


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name, kind in KINDS.items() if not kind.signs_in])
def test_sockets_open_for_who_may_read(server: tuple[LiveServer, str], transactional_db: None, name: str) -> None:
    live, read_access = server
    kind = KINDS[name]
    headers = kind.headers()
    may = not kind.is_bad and (read_access == "open" or kind.role >= USER)
    for path in SOCKETS.values():
        assert is_admitted(live, path, headers) == may, path


@pytest.mark.slow
def test_sockets_take_a_token_in_their_address(server: tuple[LiveServer, str], transactional_db: None) -> None:
    live, _ = server
    good = (tokens_issue(user_make("plain")).access, api_key("read")["X-API-Key"])
    for token in good:
        assert is_admitted(live, f"{SOCKETS['api/v1/ws/test']}?token={token}", {})
    for token in ("a.b.c", "liqui_00000000_x", tokens_issue(user_make("other")).refresh):
        assert not is_admitted(live, f"{SOCKETS['api/v1/ws/test']}?token={token}", {})
    assert "a.b.c" not in live.log
    assert not any(token in live.log for token in good)
