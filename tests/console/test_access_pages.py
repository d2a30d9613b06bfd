"""API keys, users and the audit log in the console."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.audit import SYSTEM, record
from accounts.keys import key_create, key_use
from accounts.models import ApiKey, AuditEntry
from accounts.roles import Role, role_of
from tests.console.data_pages import signed_in, text_of

KEYS, USERS, LOG = "/admin/accounts/apikey/", "/admin/auth/user/", "/admin/accounts/auditentry/"
PASSWORD = "a long pass of words"


@pytest.fixture
def administrator(db: None) -> Client:
    return signed_in("administrator")


def user_named(name: str) -> User:
    return User.objects.get(username=name)


def create(client: Client, **fields: str) -> Any:
    return client.post(f"{KEYS}add/", {"name": "charts", "scope": "read", "owner": "", **fields})


# API keys


def test_a_new_key_is_shown_once_and_works(administrator: Client) -> None:
    answer = create(administrator, scope="operate")
    page = text_of(answer)
    shown = page.split('id="new-key"', 1)[1].split('value="', 1)[1].split('"', 1)[0]
    key = key_use(shown)
    assert (key.name, key.scope) == ("charts", "operate")
    assert "no-store" in answer["Cache-Control"]
    assert "shown once" in page
    secret = shown.removeprefix(f"{key.prefix}_")  # which may have an underscore itself
    for path in (KEYS, f"{KEYS}{key.pk}/change/"):
        text = text_of(administrator.get(path))
        assert (key.prefix in text, secret in text, key.digest in text) == (True, False, False)


def test_creating_a_key_is_audited_once_without_its_secret(administrator: Client) -> None:
    create(administrator)
    entry = AuditEntry.objects.get(action__startswith="key")
    assert (entry.actor, entry.action, entry.kind) == ("administrator", "key.create", "session")
    assert ApiKey.objects.get().digest not in str(entry.details)
    assert not AuditEntry.objects.filter(action__startswith="apikey").exists()


def test_a_key_cannot_expire_in_the_past(administrator: Client) -> None:
    answer = create(administrator, expires_at_0="2020-01-01", expires_at_1="00:00:00")
    assert "2020-01-01 00:00 UTC is over already." in text_of(answer)
    assert not ApiKey.objects.exists()


def test_a_key_is_revoked_after_a_confirmation(administrator: Client) -> None:
    key, text = key_create("old", "read", None, None, SYSTEM)
    page = text_of(administrator.get(KEYS))
    assert f"{KEYS}{key.pk}/revoke/" in page
    assert "Revoke old?" in text_of(administrator.get(f"{KEYS}{key.pk}/revoke/"))
    assert key_use(text)
    answer = administrator.post(f"{KEYS}{key.pk}/revoke/", follow=True)
    assert "old opens nothing any more." in text_of(answer)
    key.refresh_from_db()
    assert key.state == "revoked"
    assert f"{KEYS}{key.pk}/revoke/" not in text_of(administrator.get(KEYS))
    assert AuditEntry.objects.get(action="key.revoke").actor == "administrator"


def test_expired_keys_are_marked(administrator: Client) -> None:
    key_create("over", "read", None, timezone.now() - timedelta(seconds=1), SYSTEM)
    assert "expired" in text_of(administrator.get(KEYS)).lower()


def test_a_key_that_does_not_exist_is_not_found(administrator: Client) -> None:
    answer = administrator.get(f"{KEYS}99/revoke/")
    assert (answer.status_code, "There is no such API key." in text_of(answer)) == (404, True)


def test_revoking_needs_the_token_of_the_form(administrator: Client) -> None:
    key, _ = key_create("old", "read", None, None, SYSTEM)
    strict = Client(enforce_csrf_checks=True)
    strict.cookies = administrator.cookies
    answer = strict.post(f"{KEYS}{key.pk}/revoke/")
    assert (answer.status_code, "This form is too old" in text_of(answer)) == (403, True)


@pytest.mark.parametrize("role", ["viewer", "operator"])
def test_keys_and_users_are_for_administrators_alone(db: None, role: str) -> None:
    key, _ = key_create("old", "read", None, None, SYSTEM)
    client = signed_in(role)
    paths = [KEYS, f"{KEYS}add/", f"{KEYS}{key.pk}/change/", f"{KEYS}{key.pk}/revoke/", USERS, f"{USERS}add/"]
    paths += [f"{USERS}{user_named(role).pk}/{page}/" for page in ("change", "password")]
    for path in paths:
        for answer in (client.get(path), client.post(path)):
            assert answer.status_code == 403, path
    key.refresh_from_db()
    assert key.state == "good"


def test_a_key_cannot_be_changed_or_deleted(administrator: Client) -> None:
    key, _ = key_create("old", "read", None, None, SYSTEM)
    assert administrator.post(f"{KEYS}{key.pk}/change/", {"name": "new"}).status_code == 403
    assert administrator.post(f"{KEYS}{key.pk}/delete/", {"post": "yes"}).status_code == 403
    key.refresh_from_db()
    assert key.name == "old"


# Users


def change(client: Client, name: str, **fields: str) -> Any:
    given = {"username": name, "email": "", "role": "", "is_active": "on"} | fields
    kept = {field: value for field, value in given.items() if value != "off"}
    return client.post(f"{USERS}{user_named(name).pk}/change/", kept)


def test_a_user_is_made_with_a_role_and_can_sign_in(administrator: Client) -> None:
    form = {"username": "new", "role": "operator", "password1": PASSWORD, "password2": PASSWORD}
    assert administrator.post(f"{USERS}add/", form).status_code == 302
    assert role_of(user_named("new")) == Role.OPERATOR
    browser = Client()
    answer = browser.post("/admin/login/", {"username": "new", "password": PASSWORD, "next": "/admin/"})
    assert answer.headers["Location"] == "/admin/"
    assert browser.get("/admin/").status_code == 200
    entries = AuditEntry.objects.filter(actor="administrator", target="new").order_by("id")
    assert [entry.action for entry in entries] == ["user.role", "user.create"]
    assert PASSWORD not in str(list(entries.values()))


def test_a_weak_password_is_refused(administrator: Client) -> None:
    form = {"username": "new", "role": "", "password1": "password", "password2": "password"}
    assert "too common" in text_of(administrator.post(f"{USERS}add/", form))
    assert not User.objects.filter(username="new").exists()


@pytest.mark.parametrize(("label", "role"), [("viewer", Role.VIEWER), ("operator", Role.OPERATOR), ("", Role.USER)])
def test_a_role_is_changed_and_audited(administrator: Client, label: str, role: Role) -> None:
    user = User.objects.create_user("other", password=PASSWORD)
    user.groups.add(Group.objects.get(name="administrator"))
    assert change(administrator, "other", role=label).status_code == 302
    assert role_of(user_named("other")) == role
    assert AuditEntry.objects.get(action="user.role").details == {"role": label or "none"}


def test_a_superuser_who_gets_a_lower_role_is_none_any_more(administrator: Client) -> None:
    User.objects.create_superuser("root")
    change(administrator, "root", role="viewer")
    assert role_of(user_named("root")) == Role.VIEWER


def test_a_deactivated_user_is_out_at_once(administrator: Client) -> None:
    browser = signed_in("viewer")
    assert browser.get("/admin/").status_code == 200
    change(administrator, "viewer", role="viewer", is_active="off")
    assert browser.get("/admin/").status_code == 302
    assert AuditEntry.objects.filter(action="user.deactivate", target="viewer").exists()


@pytest.mark.parametrize("fields", [{"role": "operator"}, {"role": ""}, {"role": "administrator", "is_active": "off"}])
def test_the_last_administrator_cannot_be_locked_out(administrator: Client, fields: dict[str, str]) -> None:
    inactive = User.objects.create_superuser("asleep")
    User.objects.filter(pk=inactive.pk).update(is_active=False)
    assert "This is the last active administrator" in text_of(change(administrator, "administrator", **fields))
    assert role_of(user_named("administrator")) == Role.ADMINISTRATOR
    User.objects.create_superuser("second")
    assert change(administrator, "administrator", **fields).status_code == 302


def test_nobody_is_deleted(administrator: Client) -> None:
    other = User.objects.create_user("other")
    assert administrator.post(f"{USERS}{other.pk}/delete/", {"post": "yes"}).status_code == 403
    assert User.objects.filter(pk=other.pk).exists()


def test_two_administrators_who_demote_each_other_at_once_do_not_both_succeed(transactional_db: None) -> None:
    for name in ("viewer", "operator", "administrator"):
        Group.objects.get_or_create(name=name)
    clients = {}
    for name in ("one", "two"):
        user = User.objects.create_user(name)
        user.groups.add(Group.objects.get(name="administrator"))
        clients[name] = Client(raise_request_exception=False)
        clients[name].force_login(user)

    def demote(client: Client, name: str) -> None:
        try:
            change(client, name, role="viewer")
        finally:
            connection.close()

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(demote, clients.values(), ("two", "one")))
    assert Role.ADMINISTRATOR in {role_of(user_named(name)) for name in clients}


def test_a_new_password_is_set_by_djangos_form_and_its_value_is_nowhere(administrator: Client) -> None:
    other = User.objects.create_user("other", password="another pass of words")
    form = {"password1": PASSWORD, "password2": PASSWORD}
    assert administrator.post(f"{USERS}{other.pk}/password/", form).status_code == 302
    assert user_named("other").check_password(PASSWORD)
    entry = AuditEntry.objects.get(action="user.change")
    assert (entry.target, PASSWORD in str(entry.details)) == ("other", False)


def test_a_password_cannot_be_switched_off(administrator: Client) -> None:
    page = text_of(administrator.get(f"{USERS}{user_named('administrator').pk}/password/"))
    assert "usable_password" not in page


def test_everybody_changes_the_own_password(db: None) -> None:
    client = signed_in("viewer")
    user = user_named("viewer")
    user.set_password("another pass of words")
    user.save()
    client.force_login(user)
    form = {"old_password": "another pass of words", "new_password1": PASSWORD, "new_password2": PASSWORD}
    assert client.post("/admin/password_change/", form).status_code == 302
    assert user_named("viewer").check_password(PASSWORD)


def test_without_a_role_nobody_gets_in(db: None) -> None:
    User.objects.create_user("plain", password=PASSWORD, is_staff=True)
    browser = Client()
    answer = browser.post("/admin/login/", {"username": "plain", "password": PASSWORD})
    assert (answer.status_code, "no role in the console" in text_of(answer)) == (200, True)
    assert browser.get("/admin/").status_code == 302


# The audit log


@pytest.fixture
def viewer(db: None) -> Client:
    return signed_in("viewer")


def rows_of(client: Client, **query: str) -> str:
    answer = client.get(LOG, query)
    assert answer.status_code == 200
    return text_of(answer)


def test_the_log_shows_the_newest_first_to_everybody_with_a_role(viewer: Client) -> None:
    record(SYSTEM, "cache.clear", "the first", amount=12)
    record(SYSTEM, "bars.rebuild", "<b>the second</b>", outcome="failed")
    page = rows_of(viewer)
    assert page.index("&lt;b&gt;the second") < page.index("the first")


@pytest.mark.parametrize(
    ("query", "shown"),
    [
        ({"actor": "liqui"}, True),
        ({"actor": "somebody"}, False),
        ({"action": "cache.clear"}, True),
        ({"action": "bars.rebuild"}, False),
        ({"outcome": "done"}, True),
        ({"outcome": "failed"}, False),
        ({"q": "BTC"}, True),
        ({"q": "ETH"}, False),
        ({"at_from_0": "2020-01-01", "at_from_1": "00:00:00"}, True),
        ({"at_to_0": "2020-01-01", "at_to_1": "00:00:00"}, False),
        ({"at_from_0": "2020-01-01"}, True),
        ({"at_to_0": "2020-01-01"}, False),
    ],
)
def test_the_log_is_filtered(viewer: Client, query: dict[str, str], shown: bool) -> None:
    record(SYSTEM, "cache.clear", "BTCUSDT")
    assert ("BTCUSDT" in rows_of(viewer, **query)) == shown


def test_a_time_that_is_none_is_said(viewer: Client) -> None:
    assert "is not a time such as" in rows_of(viewer, at_from_0="yesterday")


@pytest.mark.parametrize("path", ["add/", "PK/change/", "PK/delete/"])
@pytest.mark.parametrize("role", ["viewer", "administrator"])
def test_nobody_changes_the_log(db: None, role: str, path: str) -> None:
    record(SYSTEM, "cache.clear", "BTCUSDT")
    entry = AuditEntry.objects.get(action="cache.clear")
    answer = signed_in(role).post(LOG + path.replace("PK", str(entry.pk)), {"post": "yes", "target": "x"})
    assert answer.status_code == 403
    assert AuditEntry.objects.get(pk=entry.pk).target == "BTCUSDT"


def test_an_entry_has_a_page_of_its_own(viewer: Client) -> None:
    record(SYSTEM, "cache.clear", "BTCUSDT", reason="because")
    assert "because" in text_of(viewer.get(f"{LOG}{AuditEntry.objects.get(action='cache.clear').pk}/change/"))


def test_the_log_is_never_counted(viewer: Client) -> None:
    record(SYSTEM, "cache.clear", "BTCUSDT")
    with CaptureQueriesContext(connection) as queries:
        rows_of(viewer, action="cache.clear")
    of_log = [query["sql"] for query in queries.captured_queries if "audit_log" in query["sql"]]
    assert of_log
    assert not any("COUNT(" in sql.upper() for sql in of_log)
