"""What a stranger on the same network may try with an operator's browser."""

from pathlib import Path

import httpx
import pytest
from playwright.sync_api import expect

from tests.backend import IS_SQLITE
from tests.e2e.console.conftest import Visit
from tests.e2e.console.service import PASSWORD, SCRIPT_SYMBOL, Console
from tests.e2e.test_data_in_and_out import recorder_file
from tests.factories import order

pytestmark = pytest.mark.skipif(not IS_SQLITE, reason="in the browser all backends are one")


@pytest.mark.parametrize(
    "elsewhere", ["//evil.example/", "https://evil.example/", "/\\evil.example", "javascript:alert(1)"]
)
def test_signing_in_leads_to_no_other_server(visit: Visit, console: Console, elsewhere: str) -> None:
    visitor = visit()
    visitor.go(str(httpx.URL("/admin/login/", params={"next": elsewhere})))
    visitor.fill_in("operator", PASSWORD)
    visitor.page.wait_for_url(f"{console.root}/admin/")


def test_cookies_are_out_of_reach_of_scripts_and_of_other_sites(visit: Visit) -> None:
    [session] = [each for each in visit("operator").context.cookies() if each.get("name") == "sessionid"]
    assert session.get("httpOnly") is True
    assert session.get("sameSite") == "Lax"


def test_no_page_of_the_console_can_be_framed(visit: Visit) -> None:
    answer = visit("operator").context.request.get("/admin/")
    assert answer.headers["x-frame-options"] == "DENY"
    assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]


def test_scripts_of_other_servers_are_refused_by_the_policy(visit: Visit) -> None:
    visitor = visit("operator")
    visitor.go("/admin/")
    visitor.page.evaluate(
        "document.head.append(Object.assign(document.createElement('script'), {src: '//evil.example/x.js'}))"
    )
    visitor.page.wait_for_timeout(200)
    assert any("Content Security Policy" in fault for fault in visitor.faults)
    visitor.faults.clear()


SEARCHED = ["cache/keys", "cache/key", "cache/remove", "orders", "instruments", "jobs", "gaps", "accounts/auditentry/"]
# What a visitor's browser would make of these is a script error or a request that fails: faults, either way.
SCRIPT = "<img src=x onerror=alert(1)>"
QUOTES = "\"'><img src=y onerror=alert(2)>"


def test_a_symbol_that_is_a_script_is_text(visit: Visit, console: Console) -> None:
    newest = {"symbol": SCRIPT_SYMBOL, "limit": 5}
    assert httpx.get(f"{console.root}/api/liquidation-orders", params=newest).status_code == 200
    page = visit("operator").go("/admin/orders?symbol=" + SCRIPT_SYMBOL)
    expect(page.get_by_role("link", name=SCRIPT_SYMBOL)).to_be_visible()
    page.goto("/admin/cache/keys?search=onload")
    page.get_by_role("region", name="Keys").get_by_role("link").first.click()
    expect(page.get_by_role("region", name="Body").first).to_contain_text(SCRIPT_SYMBOL)
    page.goto("/admin/cache")
    page.get_by_label("About a symbol").fill(SCRIPT_SYMBOL)
    page.get_by_role("button", name="Remove symbol…").click()
    expect(page.get_by_role("heading", name="Remove the answers")).to_contain_text(SCRIPT_SYMBOL)
    page.get_by_role("button", name="Remove").click()
    expect(page.get_by_text("removed: the answers about")).to_contain_text(SCRIPT_SYMBOL)


def test_the_name_of_a_file_that_is_a_script_is_text(visit: Visit, tmp_path: Path) -> None:
    file = recorder_file(tmp_path / f"{SCRIPT}.csv", [order(symbol="NAMED")])
    page = visit("administrator").go("/admin/import")
    page.locator("input[type=file]").set_input_files(file)
    page.get_by_role("button", name="Import").click()
    expect(page.locator("#content .status").first).to_have_text("done", timeout=30_000)
    for path in ("/admin/import", "/admin/jobs", "/admin/accounts/auditentry/", "/admin/"):
        page.goto(path)
        expect(page.locator("#content").get_by_text(file.name).first).to_be_visible()


@pytest.mark.parametrize("text", [SCRIPT, QUOTES])
def test_what_is_searched_for_and_is_a_script_is_text(visit: Visit, text: str) -> None:
    visitor = visit("operator")
    query = str(httpx.QueryParams({"search": text, "key": text, "kind": "pattern", "value": text, "symbol": text}))
    visitor.expect(404)
    for path in SEARCHED:
        page = visitor.go(f"/admin/{path}?{query}")
        visitor.settle()
        assert page.locator("img[onerror]").count() == 0


def test_the_name_of_a_key_that_is_a_script_is_text(visit: Visit) -> None:
    page = visit("administrator").go("/admin/accounts/apikey/add/")
    page.get_by_label("Name").fill(QUOTES)
    page.get_by_role("button", name="Save").click()
    expect(page.locator("#content").get_by_text(QUOTES).first).to_be_visible()
    page.goto("/admin/accounts/apikey/")
    expect(page.locator("#content").get_by_text(QUOTES).first).to_be_visible()
    page.get_by_role("link", name="Revoke").first.click()
    expect(page.locator("#content").get_by_text(QUOTES).first).to_be_visible()


def test_who_guesses_passwords_has_to_wait(visit: Visit, console: Console) -> None:
    console.run_script(
        "from django.contrib.auth.models import User", "User.objects.create_user('carl', password='a long walk')"
    )
    visitor = visit()
    visitor.expect(429)
    for number in range(5):
        visitor.sign_in("carl", f"guess {number}")
    visitor.sign_in("carl", "a long walk")
    expect(visitor.page.get_by_text("Too many attempts")).to_be_visible()
