"""The index page, the API's documentation, the figures."""

import re
from pathlib import Path
from typing import Any

import pytest
from django.contrib.staticfiles import finders
from django.test import Client
from prometheus_client.parser import text_string_to_metric_families

from liqui import __version__
from liqui.guide import OWN_DATA_STEPS

HTML = "text/html,application/xhtml+xml,*/*;q=0.8"


@pytest.mark.parametrize("accept", ["*/*", "application/json", ""])
def test_a_script_gets_the_terminals_json_at_the_root(client: Client, accept: str) -> None:
    body = client.get("/", headers={"accept": accept}).json()
    assert list(body) == ["message", "version", "debug", "development", "container", "docs"]
    assert (body["version"], body["docs"]) == (__version__, "/docs")


def test_a_browser_gets_a_page_that_fetches_nothing_from_elsewhere(client: Client) -> None:
    response = client.get("/", headers={"accept": HTML})
    page = response.content.decode()
    assert response["Content-Type"].startswith("text/html")
    assert "Accept" in response["Vary"]
    assert not re.search(r"""(src|href)=["'](https?:)?//""", page)
    assert "Sample data" not in page


def test_the_page_says_when_the_data_is_made_up_and_how_to_serve_ones_own(client: Client, settings: Any) -> None:
    settings.LIQUI_FEED = "sample"
    page = client.get("/", headers={"accept": HTML}).content.decode()
    assert "Sample data" in page
    assert all(step in page for step in OWN_DATA_STEPS)


@pytest.mark.parametrize(("feed", "says"), [("simulated", True), ("replay", True), ("live", False), ("none", False)])
def test_the_page_says_when_the_feed_is_simulated(client: Client, settings: Any, feed: str, says: bool) -> None:
    settings.LIQUI_FEED = feed
    assert ("Simulated feed." in client.get("/", headers={"accept": HTML}).content.decode()) is says


def test_the_script_of_the_live_table_makes_no_markup_of_what_it_is_sent(client: Client) -> None:
    page = client.get("/", headers={"accept": HTML}).content.decode()
    (script,) = re.findall(r"""<script src=["']/static/([^"']+)["']""", page)
    source = Path(str(finders.find(script))).read_text()
    assert "textContent" in source
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval", source)


@pytest.mark.django_db
def test_the_pages_example_is_a_request_that_is_understood(client: Client) -> None:
    page = client.get("/", headers={"accept": HTML}).content.decode()
    (example,) = re.findall(r'href="(/api/[^"]+)"', page)
    assert client.get(example.replace("&amp;", "&")).status_code in (200, 404)


@pytest.mark.parametrize("path", ["/docs", "/redoc"])
def test_the_documentation_pages_use_files_of_ours_only(client: Client, path: str) -> None:
    page = client.get(path, headers={"accept": HTML}).content.decode()
    assert not re.search(r"""(src|href)=["'](https?:)?//""", page)
    assets = re.findall(r"""(?:src|href)=["']/static/([^"']+)["']""", page)
    assert assets
    assert all(finders.find(asset) for asset in assets)
    assert "/openapi.json" in page


@pytest.mark.parametrize("path", ["/openapi.json", "/api/schema/"])
def test_the_schema_describes_the_api_in_this_version(client: Client, path: str) -> None:
    response = client.get(path)
    assert response.status_code == 200
    text = response.content.decode()
    assert __version__ in text
    assert "/api/liquidations" in text


def test_openapi_json_is_json(client: Client) -> None:
    response = client.get("/openapi.json")
    assert response["Content-Type"] == "application/json"
    assert response.json()["openapi"].startswith("3.")


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("path", "may_be", "may_not_be"),
    [
        ("/", "script-src 'self'", "script-src 'self' 'unsafe-inline'"),
        ("/docs", "script-src 'self' 'unsafe-inline'; worker-src", "'unsafe-eval'"),
        ("/redoc", "worker-src 'self' blob:", "'unsafe-eval'"),
        ("/admin/login/", "script-src 'self' 'unsafe-inline' 'unsafe-eval'", "worker-src"),
    ],
)
def test_a_page_loads_from_this_server_alone_and_is_in_nobody_s_frame(
    client: Client, path: str, may_be: str, may_not_be: str
) -> None:
    headers = client.get(path, headers={"accept": HTML}).headers
    policy = headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'self'; ")
    assert {"frame-ancestors 'none'", "base-uri 'self'", "form-action 'self'", "object-src 'none'"} <= {
        part.strip() for part in policy.split(";")
    }
    assert may_be in policy
    assert may_not_be not in policy
    assert "http:" not in policy
    assert "https:" not in policy
    assert (headers["X-Content-Type-Options"], headers["X-Frame-Options"]) == ("nosniff", "DENY")
    assert headers["Referrer-Policy"] == "same-origin"


@pytest.mark.parametrize("path", ["/", "/openapi.json", "/nothing", "/api/liquidations", "/static/liqui/feed.js"])
def test_what_is_no_page_may_do_nothing_in_a_browser(client: Client, path: str) -> None:
    headers = client.get(path, headers={"accept": "*/*"}).headers
    assert headers["Content-Security-Policy"] == "default-src 'none'; frame-ancestors 'none'"
    assert headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize("path", ["/metrics", "/api/metrics"])
def test_the_figures_are_readable_by_prometheus(client: Client, path: str) -> None:
    client.get("/")
    names = {family.name for family in text_string_to_metric_families(client.get(path).content.decode())}
    assert "django_http_requests_total_by_method" in names
