"""An administrator lets programs and people in, and out again."""

import httpx
import pytest
from playwright.sync_api import Page, expect

from tests.backend import IS_SQLITE
from tests.e2e.console.conftest import Visit
from tests.e2e.console.service import Console

pytestmark = pytest.mark.skipif(not IS_SQLITE, reason="in the browser all backends are one")


def make_key(page: Page, name: str, scope: str) -> str:
    page.get_by_role("link", name="API keys").click()
    page.get_by_role("link", name="Add API key").first.click()
    page.get_by_label("Name").fill(name)
    page.get_by_label("Scope").select_option(scope)
    page.get_by_role("button", name="Save").click()
    return page.get_by_label("key").first.input_value()


def may_see_statistics(console: Console, key: str) -> int:
    return httpx.get(f"{console.root}/api/cache/stats", headers={"X-API-Key": key}).status_code


def test_a_key_is_shown_once_opens_and_is_revoked(visit: Visit, console: Console) -> None:
    page = visit("administrator").go("/admin/")
    key = make_key(page, "the desk's robot", "operate")
    assert may_see_statistics(console, key) == 200
    page.get_by_role("link", name="API keys").click()
    assert key not in page.content()
    page.get_by_role("link", name="Revoke the desk's robot").click()
    page.get_by_role("button", name="Revoke").click()
    expect(page.get_by_text("the desk's robot opens nothing any more.")).to_be_visible()
    assert may_see_statistics(console, key) == 401


def test_a_key_that_reads_does_not_act(visit: Visit, console: Console) -> None:
    key = make_key(visit("administrator").go("/admin/"), "reader", "read")
    assert may_see_statistics(console, key) == 403


def test_a_new_user_signs_in_with_the_role_that_was_given(visit: Visit, console: Console) -> None:
    page = visit("administrator").go("/admin/")
    page.get_by_role("link", name="Users").click()
    page.get_by_role("link", name="Add user").first.click()
    page.get_by_label("Username").fill("anna")
    page.get_by_label("Role").select_option("viewer")
    for field in page.locator("input[type=password]").all():
        field.fill("a long walk in the rain")
    page.get_by_role("button", name="Save", exact=True).click()
    newcomer = visit()
    newcomer.sign_in("anna", "a long walk in the rain")
    expect(newcomer.page.get_by_role("heading", name="Health")).to_be_visible()
    expect(newcomer.page.get_by_role("link", name="Users")).to_have_count(0)


def test_whoever_is_deactivated_is_out_at_once(visit: Visit, console: Console) -> None:
    console.run_script(
        "from django.contrib.auth.models import Group, User",
        "user = User.objects.create_user('bert', password='a long walk in the rain')",
        "user.groups.add(Group.objects.get(name='operator'))",
    )
    leaver = visit()
    leaver.sign_in("bert", "a long walk in the rain")
    expect(leaver.page.get_by_role("heading", name="Health")).to_be_visible()
    page = visit("administrator").go("/admin/auth/user/")
    page.get_by_role("link", name="bert").click()
    page.get_by_label("Active").uncheck()
    page.get_by_role("button", name="Save", exact=True).click()
    leaver.go("/admin/")
    assert "/admin/login/" in leaver.page.url


def test_a_periodic_task_is_switched_off_and_on_again(visit: Visit) -> None:
    page = visit("administrator").go("/admin/")
    page.get_by_role("link", name="Periodic tasks").click()
    page.get_by_role("link", name="count-cache").click()
    page.get_by_label("Enabled").uncheck()
    page.get_by_role("button", name="Save", exact=True).click()
    page.get_by_role("link", name="count-cache").first.click()
    expect(page.get_by_label("Enabled")).not_to_be_checked()
    page.get_by_label("Enabled").check()
    page.get_by_role("button", name="Save", exact=True).click()
