"""Who gets in, and what each role sees and may do."""

from typing import Any

import pytest

from tests.backend import IS_SQLITE
from tests.e2e.console.browser import Visitor
from tests.e2e.console.conftest import Reader, Visit
from tests.e2e.console.pages import ACTS, shown_pages
from tests.e2e.console.service import PASSWORD, ROLES, Console

pytestmark = pytest.mark.skipif(not IS_SQLITE, reason="in the browser all backends are one")

FOR_ADMINISTRATORS = {"API keys", "Users", "Periodic tasks"}


def navigation(visitor: Visitor) -> set[str]:
    """The titles of what the navigation offers."""
    texts = visitor.go("/admin/").locator("#nav-sidebar-apps li a > span:not(.material-symbols-outlined)")
    return {text.strip() for text in texts.all_inner_texts()}


@pytest.mark.parametrize("role", ROLES)
def test_each_role_signs_in_and_lands_on_the_dashboard(visit: Visit, console: Console, role: str) -> None:
    visitor = visit()
    visitor.sign_in(role, PASSWORD)
    visitor.page.wait_for_url(f"{console.root}/admin/")
    visitor.page.get_by_role("heading", name="Health").wait_for()


def test_who_has_no_role_is_told_so(visit: Visit) -> None:
    visitor = visit()
    visitor.sign_in("nobody", PASSWORD)
    visitor.page.get_by_text("This account has no role in the console.").wait_for()


def test_a_wrong_password_and_an_unknown_name_are_told_the_same(visit: Visit) -> None:
    told = []
    for name in ("operator", "somebody else"):
        visitor = visit()
        visitor.sign_in(name, "wrong")
        told.append(visitor.page.locator("body").inner_text())
    assert told[0] == told[1]
    assert "do not belong together" in told[0]


def test_the_first_start_makes_an_administrator_who_can_sign_in(visit: Visit, console: Console) -> None:
    printed = console.server.log.partition("This is shown once:")[2].split()
    name, password = printed[1], printed[3]
    visitor = visit()
    visitor.sign_in(name, password)
    visitor.page.get_by_role("heading", name="Health").wait_for()
    assert navigation(visitor) >= FOR_ADMINISTRATORS


def test_the_navigation_offers_what_the_role_may_see(visit: Visit) -> None:
    administrator, operator, viewer = (navigation(visit(role)) for role in reversed(ROLES))
    assert viewer == operator
    assert viewer | FOR_ADMINISTRATORS <= administrator
    assert not viewer & FOR_ADMINISTRATORS


@pytest.mark.parametrize("path", shown_pages("viewer"))
def test_a_viewer_finds_nothing_that_acts(reader: Reader, path: str) -> None:
    visitor = reader("viewer")
    visitor.go(path)
    visitor.settle()
    buttons = visitor.page.locator("#content form[method=post] :is(button, input[type=submit])")
    assert buttons.all_inner_texts() == []


def test_what_a_viewer_sends_by_hand_is_refused(visit: Visit) -> None:
    visitor = visit("viewer")
    visitor.go("/admin/")
    assert {path: visitor.send(path) for path in ACTS} == dict.fromkeys(ACTS, 403)


def test_what_acts_wants_the_token_of_a_page_of_ours(visit: Visit) -> None:
    """A page elsewhere can make an operator's browser send a form, but not with the token."""
    visitor = visit("operator")
    visitor.go("/admin/")
    assert {path: visitor.send(path, token="") for path in ACTS} == dict.fromkeys(ACTS, 403)


def test_who_is_not_signed_in_acts_nowhere(visit: Visit) -> None:
    visitor = visit()
    visitor.go("/admin/login/")
    assert {path: visitor.send(path) for path in ACTS} == dict.fromkeys(ACTS, 302)


def test_a_page_for_administrators_tells_an_operator_which_role_it_needs(visit: Visit) -> None:
    visitor = visit("operator")
    visitor.expect(403)
    visitor.go("/admin/auth/user/")
    visitor.page.get_by_text("with the role of operator").wait_for()


def test_signing_out_ends_the_session(visit: Visit, console: Console) -> None:
    visitor = visit()
    visitor.sign_in("viewer", PASSWORD)
    visitor.page.get_by_role("heading", name="Health").wait_for()
    kept: Any = visitor.context.cookies()
    visitor.page.locator("#nav-sidebar").get_by_text("viewer").click()
    visitor.page.get_by_role("button", name="Log out").click()
    visitor.page.get_by_text("Log in").first.wait_for()
    # Whoever has copied the cookie has nothing of it any more.
    visitor.context.add_cookies(kept)
    visitor.go("/admin/")
    assert "/admin/login/" in visitor.page.url
