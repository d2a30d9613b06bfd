"""The console of a service of several processes, some of which die while somebody looks on."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from tests.backend import server_only
from tests.e2e.console.conftest import Visit, everybody_signed_in
from tests.e2e.console.service import ServerConsole, on_servers
from tests.e2e.test_data_in_and_out import recorder_file
from tests.factories import T0, order
from tools.servers import PrivateMariaDB, PrivateRedis

pytestmark = [pytest.mark.slow, server_only("the whole set of servers is started once")]

SOON_MS = 10_000  # within which the dashboard says that a part has died
A_WHILE_MS = 30_000


@pytest.fixture(scope="module")
def console(
    session_mariadb: PrivateMariaDB, session_redis: PrivateRedis, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ServerConsole]:
    with on_servers(tmp_path_factory.mktemp("servers"), session_mariadb, session_redis) as console:
        yield console


@pytest.fixture(scope="module")
def sessions(console: ServerConsole, browser: Browser) -> dict[str, Any]:
    return everybody_signed_in(console, browser)


def health_of(page: Page, part: str) -> Any:
    """What the dashboard says of a part of the service."""
    return page.get_by_role("region", name="Health").get_by_role("listitem").filter(has_text=part).locator(".status")


def test_a_job_is_done_by_celery_in_another_process(visit: Visit, console: ServerConsole) -> None:
    page = visit("operator").go("/admin/cache")
    page.get_by_role("button", name="Remove lists of symbols…").click()
    page.get_by_role("button", name="Remove").click()
    page.get_by_role("button", name="Warm now").click()
    page.locator("#content").get_by_role("link", name="Job").click()
    expect(page.locator("#content .status").first).to_have_text("done", timeout=A_WHILE_MS)
    assert httpx.get(f"{console.root}/api/symbols").headers["X-Cache"] == "hit"


def test_what_is_uploaded_here_is_imported_there(visit: Visit, tmp_path: Path) -> None:
    file = recorder_file(tmp_path / "there.csv", [order(at=T0 + at, symbol="THERE") for at in range(30)])
    page = visit("operator").go("/admin/import")
    page.locator("input[type=file]").set_input_files(file)
    page.get_by_role("button", name="Import").click()
    expect(page.get_by_text("30 orders stored.")).to_be_visible(timeout=A_WHILE_MS)


def test_the_dashboard_tells_of_a_redis_that_has_died(visit: Visit, console: ServerConsole) -> None:
    page = visit("viewer").go("/admin/")
    expect(health_of(page, "Redis")).to_have_text("healthy")
    console.redis.kill()
    try:
        expect(health_of(page, "Redis")).to_have_text("degraded", timeout=SOON_MS)
        page.goto("/admin/cache")
        expect(page.get_by_role("alert")).to_contain_text("Clients are answered from the memory of each process")
        page.goto("/admin/cache/keys")
    finally:
        console.redis.start()
    page.goto("/admin/")
    expect(health_of(page, "Redis")).to_have_text("healthy", timeout=A_WHILE_MS)


def test_the_dashboard_tells_of_a_collector_that_has_died(visit: Visit, console: ServerConsole) -> None:
    page = visit("viewer").go("/admin/")
    expect(health_of(page, "Collector")).to_have_text("healthy", timeout=A_WHILE_MS)
    console.collector.kill()
    try:
        expect(health_of(page, "Collector")).to_have_text("unhealthy", timeout=SOON_MS)
    finally:
        console.collector.start()
    expect(health_of(page, "Collector")).to_have_text("healthy", timeout=A_WHILE_MS)


def test_a_database_that_is_away_is_said_and_waited_for(visit: Visit, console: ServerConsole) -> None:
    visitor = visit("viewer")
    visitor.expect(503)
    page = visitor.go("/admin/")
    expect(page.get_by_role("region", name="Health")).to_contain_text("Redis")
    console.mariadb.kill()
    try:
        expect(page.get_by_text("Cannot refresh since").first).to_be_visible(timeout=SOON_MS)
        visitor.go("/admin/orders")
        expect(page.get_by_role("heading", name="The database is away")).to_be_visible()
    finally:
        console.mariadb.start()
    expect(page.get_by_role("heading", name="Liquidation orders")).to_be_visible(timeout=A_WHILE_MS)
