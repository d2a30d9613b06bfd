"""API keys: shown once, hashed at rest, of a scope, with an end."""

from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.test import Client
from django.utils import timezone

from accounts.keys import key_create, key_revoke
from accounts.models import ApiKey, AuditEntry
from tests.accounts.people import TESTER, user_make

STATS, ME = "/api/cache/stats", "/api/v1/auth/me"


@pytest.fixture
def operate(db: None) -> tuple[ApiKey, str]:
    return key_create("bars", "operate", None, None, TESTER)


def ask(key: str, path: str = STATS) -> Any:
    return Client().get(path, headers={"X-API-Key": key})


def test_a_key_opens_what_its_scope_says_in_both_headers(operate: tuple[ApiKey, str]) -> None:
    assert ask(operate[1]).status_code == 200
    assert Client().get(STATS, headers={"Authorization": f"Api-Key {operate[1]}"}).status_code == 200
    reads = key_create("charts", "read", None, None, TESTER)[1]
    assert ask(reads).status_code == 403
    assert ask(reads, ME).json() == {
        "user_id": None,
        "email": "",
        "is_active": True,
        "username": "key: charts",
        "roles": ["user"],
    }


def test_a_key_looks_like_one_and_the_database_has_its_hash_alone(operate: tuple[ApiKey, str]) -> None:
    row, key = operate
    assert key.startswith(f"{row.prefix}_")
    assert len(key) > 50
    kept = str(vars(ApiKey.objects.get()))
    assert key.removeprefix(row.prefix) not in kept


def test_a_revoked_key_opens_nothing_from_now_on(operate: tuple[ApiKey, str]) -> None:
    row, key = operate
    # Read as well: the hot path believes what it has just seen, but not after a revocation.
    assert ask(key, "/api/v1/gaps").status_code == 200
    key_revoke(row, TESTER)
    for path in (STATS, "/api/v1/gaps"):
        refused = ask(key, path)
        assert (refused.status_code, refused.json()["detail"]) == (401, "API key is revoked")
    first = row.revoked_at
    key_revoke(row, TESTER)
    assert row.revoked_at == first
    assert AuditEntry.objects.filter(action="key.revoke").count() == 1


def test_a_key_ends_when_it_expires(operate: tuple[ApiKey, str]) -> None:
    _, key = operate
    ApiKey.objects.update(expires_at=timezone.now() + timedelta(minutes=1))
    assert ask(key).status_code == 200
    ApiKey.objects.update(expires_at=timezone.now())
    assert ask(key).json()["detail"] == "API key is expired"


def test_a_key_never_may_more_than_its_owner_and_ends_with_them(db: None) -> None:
    owner = user_make("ada", "operator")
    key = key_create("ada's", "operate", owner, None, TESTER)[1]
    assert ask(key).status_code == 200
    owner.groups.clear()
    assert ask(key).status_code == 403
    User.objects.update(is_active=False)
    assert ask(key).json()["detail"] == "API key is of a user who is not active"


@pytest.mark.parametrize(
    "change", ["", "x", "liqui_", "liqui_00000000_x", "PREFIX", "PREFIX_", "PREFIX_wrong", "é", "\0"]
)
def test_what_is_no_key_is_refused_in_the_same_words(operate: tuple[ApiKey, str], change: str) -> None:
    wrong = change.replace("PREFIX", operate[0].prefix)
    refused = ask(wrong)
    assert (refused.status_code, refused.json()["detail"]) == (401, "Unknown API key")


def test_a_key_of_another_case_is_another_key(operate: tuple[ApiKey, str]) -> None:
    assert ask(operate[1].swapcase()).status_code == 401


def test_the_last_use_is_noted_about_once_a_minute(operate: tuple[ApiKey, str]) -> None:
    ask(operate[1])
    first = ApiKey.objects.get().last_used_at
    assert first is not None
    ask(operate[1])
    assert ApiKey.objects.get().last_used_at == first
    ApiKey.objects.update(last_used_at=first - timedelta(minutes=2))
    ask(operate[1])
    last = ApiKey.objects.get().last_used_at
    assert last is not None
    assert last >= first


def test_the_first_credential_counts_and_must_be_good(operate: tuple[ApiKey, str]) -> None:
    bad = {"Authorization": "Bearer a.b.c", "X-API-Key": operate[1]}
    assert Client().get(STATS, headers=bad).status_code == 401
    # A proxy's own scheme is none of ours.
    foreign = {"Authorization": "Basic dXNlcjpwYXNz", "X-API-Key": operate[1]}
    assert Client().get(STATS, headers=foreign).status_code == 200


# The command.


def run(*arguments: str) -> tuple[str, str]:
    out, err = StringIO(), StringIO()
    call_command("api_key", *arguments, stdout=out, stderr=err)
    return out.getvalue(), err.getvalue()


def test_the_command_makes_lists_and_revokes_keys(db: None) -> None:
    user_make("ada", "operator")
    printed, about = run("create", "bars", "--scope", "operate", "--owner", "ada", "--days", "30")
    key = printed.strip()
    assert ask(key).status_code == 200
    assert "shown this once" in about
    assert key not in about
    row = ApiKey.objects.get()
    assert row.expires_at is not None
    assert timedelta(days=29) < row.expires_at - timezone.now() <= timedelta(days=30)
    assert f"{row.prefix}  operate  good" in run("list")[0]
    run("revoke", row.prefix)
    assert "revoked" in run("list")[0]
    assert ask(key).status_code == 401
    told = list(AuditEntry.objects.order_by("pk").values_list("action", "kind"))
    assert told == [("key.create", "shell"), ("key.revoke", "shell")]
    assert not any(key.rpartition("_")[2] in str(vars(entry)) for entry in AuditEntry.objects.all())


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("create", "x", "--owner", "nobody"), "'nobody': there is no such user"),
        (("create", "x", "--days", "0"), "--days 0"),
        (("create", " "), "1 to 64"),
        (("create", "x" * 65), "1 to 64"),
        (("revoke", "liqui_x"), "no key 'liqui_x'"),
    ],
)
def test_the_command_names_what_is_wrong(db: None, arguments: tuple[str, ...], words: str) -> None:
    with pytest.raises(CommandError, match=words):
        run(*arguments)
