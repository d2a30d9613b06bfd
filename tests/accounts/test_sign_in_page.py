"""The sign-in page: leads nowhere else, and is forged by nobody."""

from typing import Any

import pytest
from django.test import Client

from tests.accounts.people import PASSWORD, user_make


@pytest.mark.parametrize(
    "place",
    [
        "https://evil.example/",
        "//evil.example",
        "/\\evil.example",
        "javascript:alert(1)",
        "http:///evil.example",
        "\thttps://evil.example",
    ],
)
def test_signing_in_leads_to_no_other_place(db: None, place: str) -> None:
    user_make("ada", "viewer")
    browser = Client()
    form = {"username": "ada", "password": PASSWORD, "next": place}
    answer: Any = browser.post("/admin/login/", form, query_params={"next": place})
    assert answer.status_code == 302
    assert answer.headers["Location"] == "/admin/"
    # Who is signed in already is not sent there either.
    again: Any = browser.get("/admin/login/", {"next": place})
    assert again.headers.get("Location", "/admin/") == "/admin/"
    out: Any = browser.post("/admin/logout/", {"next": place}, query_params={"next": place})
    assert "evil" not in out.headers.get("Location", "")


def test_changes_in_the_console_need_the_csrf_token(db: None) -> None:
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(user_make("ada", "administrator"))
    for path in ("cache/warm", "bars/rebuild", "accounts/apikey/add/", "auth/user/add/", "logout/", "instruments/sync"):
        assert browser.post(f"/admin/{path}").status_code == 403, path


def test_a_sign_in_changes_the_session_key(db: None) -> None:
    user_make("ada", "viewer")
    browser = Client()
    session: Any = browser.session
    session["before"] = 1
    session.save()
    before = session.session_key
    browser.cookies["sessionid"] = before
    browser.post("/admin/login/", {"username": "ada", "password": PASSWORD})
    assert browser.cookies["sessionid"].value != before


def test_the_cookie_is_for_the_browser_alone(db: None) -> None:
    user_make("ada", "viewer")
    browser = Client()
    browser.post("/admin/login/", {"username": "ada", "password": PASSWORD})
    cookie = browser.cookies["sessionid"]
    assert (cookie["httponly"], cookie["samesite"]) == (True, "Lax")
