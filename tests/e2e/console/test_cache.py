"""An operator and the cache: what is kept, taking it out, and having it made again."""

from collections.abc import Callable

import httpx
import pytest
from playwright.sync_api import Page, expect

from tests.backend import IS_SQLITE
from tests.e2e.console.conftest import Visit
from tests.e2e.console.service import Console
from tests.factories import DAY, T0

pytestmark = pytest.mark.skipif(not IS_SQLITE, reason="in the browser all backends are one")

WINDOW = {"symbol": "BTCUSDT", "timeframe": "1h", "start_timestamp": T0, "end_timestamp": T0 + 2 * DAY}
Ask = Callable[..., str]


@pytest.fixture
def ask(console: Console) -> Ask:
    """A client of the API: how its answer came about."""

    def ask(path: str, **parameters: str | int) -> str:
        answer = httpx.get(f"{console.root}{path}", params=parameters)
        assert answer.status_code == 200, answer.text
        return answer.headers["X-Cache"]

    return ask


def open_page(page: Page, *titles: str) -> None:
    """By the links that a person sees."""
    for title in titles:
        page.get_by_role("link", name=title, exact=True).first.click()


def test_an_operator_finds_a_key_and_sees_what_is_kept_under_it(visit: Visit, ask: Ask) -> None:
    ask("/api/liquidations", **WINDOW)
    page = visit("operator").go("/admin/")
    open_page(page, "Cache")
    page.get_by_label("Key contains, or pattern").first.fill("liq:BTC*")
    page.get_by_role("button", name="Search keys").click()
    keys = page.get_by_role("region", name="Keys").get_by_role("link")
    expect(keys.first).to_be_visible()
    assert all(text.startswith("liq:BTC") for text in keys.all_inner_texts())
    keys.filter(has_text="liq:BTCUSDT:1h:").first.click()
    expect(page.get_by_role("region", name="Body")).to_contain_text('"cumulated_usd_size"')
    expect(page.get_by_text("GET /api/liquidations?")).to_be_visible()


def test_an_operator_clears_a_symbol_and_the_next_request_misses(visit: Visit, ask: Ask) -> None:
    ask("/api/liquidations", **WINDOW)
    assert ask("/api/liquidations", **WINDOW) == "hit"
    page = visit("operator").go("/admin/")
    open_page(page, "Cache")
    page.get_by_label("About a symbol").fill("btcusdt")
    page.get_by_role("button", name="Remove symbol…").click()
    expect(page.get_by_role("heading", name="Remove the answers about BTCUSDT?")).to_be_visible()
    expect(page.get_by_role("listitem").filter(has_text="liq:BTCUSDT:1h").first).to_be_visible()
    assert ask("/api/liquidations", **WINDOW) == "hit", "it asks before it does anything"
    page.get_by_role("button", name="Remove").click()
    expect(page.get_by_text("removed: the answers about BTCUSDT")).to_be_visible()
    assert ask("/api/liquidations", **WINDOW) == "miss"


def test_an_operator_warms_the_cache_and_the_next_request_hits(visit: Visit, ask: Ask) -> None:
    page = visit("operator").go("/admin/cache")
    page.get_by_role("button", name="Remove lists of symbols…").click()
    page.get_by_role("button", name="Remove").click()
    page.get_by_role("button", name="Warm now").click()
    page.locator("#content").get_by_role("link", name="Job").click()
    expect(page.locator("#content .status").first).to_have_text("done", timeout=30_000)
    assert ask("/api/symbols") == "hit"


def test_what_an_operator_removes_is_in_the_audit_log(visit: Visit, ask: Ask) -> None:
    ask("/api/liquidations", **WINDOW | {"symbol": "ETHUSDT"})
    visitor = visit("operator")
    page = visitor.go("/admin/cache/remove?kind=symbol&value=ETHUSDT")
    page.get_by_role("button", name="Remove").click()
    open_page(page, "Audit log")
    row = page.get_by_role("row").filter(has_text="cache.invalidate").first
    expect(row).to_contain_text("operator")
    expect(row).to_contain_text("ETHUSDT")
