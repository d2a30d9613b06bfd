"""Signing up, in and out by the API, and roles: rows C90 and C91 of the platform's contract."""

from typing import Any

import jwt
import pytest
from django.conf import settings as configured
from django.contrib.auth.models import User
from django.test import Client

from accounts.models import AuditEntry
from tests.accounts.people import PASSWORD, bearer, user_make

AUTH = "/api/v1/auth"
REGISTER = {"username": "ada", "email": "ada@example.org", "password": PASSWORD}


@pytest.fixture(autouse=True)
def open_registration(settings: Any, db: None) -> None:
    settings.REGISTRATION = "open"
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


def post(path: str, body: Any, **headers: str) -> Any:
    return Client().post(f"{AUTH}/{path}", body, content_type="application/json", headers=headers)


def sign_in(name: str = "ada", password: str = PASSWORD) -> dict[str, Any]:
    answer = post("login", {"username": name, "password": password})
    assert answer.status_code == 200, answer.content
    return answer.json()


def me(access_token: str) -> Any:
    return Client().get(f"{AUTH}/me", headers={"Authorization": f"Bearer {access_token}"})


@pytest.mark.contract("C90")
def test_who_registers_is_kept_and_can_sign_in() -> None:
    answer = post("register", REGISTER)
    assert answer.status_code == 201
    user = User.objects.get()
    assert answer.json() == {
        "user_id": str(user.pk),
        "username": "ada",
        "email": "ada@example.org",
        "roles": ["user"],
        "is_active": True,
    }
    assert me(sign_in()["access_token"]).json() == answer.json()
    assert (user.is_staff, user.is_superuser) == (False, False)


@pytest.mark.contract("C90")
def test_a_sign_in_answers_in_the_platforms_shape() -> None:
    user_make("ada", "operator")
    answer = post("login", {"username": "ada", "password": PASSWORD})
    body = answer.json()
    assert list(body) == ["access_token", "refresh_token", "token_type", "expires_in"]
    assert (body["token_type"], body["expires_in"]) == ("bearer", 3600)
    assert "no-store" in answer.headers["Cache-Control"]
    claims = jwt.decode(body["access_token"], configured.SIMPLE_JWT["SIGNING_KEY"], ["HS256"])
    assert claims["sub"] == str(User.objects.get().pk)
    assert claims["username"] == "ada"
    assert claims["roles"] == ["user", "viewer", "operator"]
    assert claims["type"] == "access"
    assert claims["exp"] - claims["iat"] == 3600


@pytest.mark.contract("C90")
def test_a_refresh_token_gives_the_next_tokens_and_never_access() -> None:
    user_make("ada")
    first = sign_in()
    refused = me(first["refresh_token"])
    assert (refused.status_code, refused.json()) == (401, {"detail": "Token has wrong type", "status_code": 401})
    answer = post("refresh", {"refresh_token": first["refresh_token"]})
    assert answer.status_code == 200
    assert list(answer.json()) == list(first)
    assert me(answer.json()["access_token"]).status_code == 200
    assert post("refresh", {"refresh_token": first["access_token"]}).json()["detail"] == "Token has wrong type"


@pytest.mark.contract("C90")
def test_a_refresh_token_may_be_in_the_query_as_the_platforms_clients_have_it() -> None:
    user_make("ada")
    query = {"refresh_token": sign_in()["refresh_token"]}
    answer: Any = Client().post(f"{AUTH}/refresh", query_params=query)
    assert me(answer.json()["access_token"]).status_code == 200
    assert Client().post(f"{AUTH}/refresh", query_params=query).status_code == 401


@pytest.mark.contract("C90")
def test_who_signs_out_is_out_at_once() -> None:
    user_make("ada")
    tokens, other = sign_in(), sign_in()
    assert post("logout", {"refresh_token": tokens["refresh_token"]}).json() == {"message": "Signed out"}
    assert me(tokens["access_token"]).status_code == 401
    assert post("refresh", {"refresh_token": tokens["refresh_token"]}).status_code == 401
    assert post("logout", {"refresh_token": tokens["refresh_token"]}).status_code == 401
    # It was this one sign-in.
    assert me(other["access_token"]).status_code == 200


@pytest.mark.contract("C90")
@pytest.mark.parametrize("name", ["ada", "ADA", "Ada"])
def test_a_name_is_taken_in_any_case(name: str) -> None:
    user_make("ada")
    answer = post("register", REGISTER | {"username": name})
    assert (answer.status_code, answer.json()["detail"]) == (400, "This user name is taken")
    assert User.objects.count() == 1


@pytest.mark.contract("C90")
@pytest.mark.parametrize(
    ("change", "field", "words"),
    [
        ({"password": "short"}, "password", "at least 8 characters"),
        ({"password": "password1"}, "password", "too common"),
        ({"password": "ada@example"}, "password", "too similar"),
        ({"password": 12345678}, "password", "valid string"),
        ({"password": None}, "password", "valid string"),
        ({"username": "a b"}, "username", "valid username"),
        ({"username": "<script>"}, "username", "valid username"),
        ({"username": "a" * 151}, "username", "150 characters"),
        ({"username": ""}, "username", "blank"),
        ({"username": "ada\0"}, "username", "Null characters"),
        ({"email": "nobody"}, "email", "valid email"),
    ],
)
def test_what_cannot_be_registered_is_named_and_no_password_comes_back(
    change: dict[str, Any], field: str, words: str
) -> None:
    answer = post("register", REGISTER | change)
    assert answer.status_code == 422
    items = {item["loc"][1]: item for item in answer.json()["detail"]}
    assert words in items[field]["msg"]
    if field == "password":
        assert items[field]["input"] is None
    assert PASSWORD not in answer.content.decode()
    assert not User.objects.exists()


@pytest.mark.contract("C90")
@pytest.mark.parametrize("path", ["register", "login", "refresh", "logout"])
@pytest.mark.parametrize(("body", "kind"), [("{", "json_invalid"), ("[]", "model_attributes_type"), ("{}", "missing")])
def test_bodies_that_are_none_are_422(path: str, body: str, kind: str) -> None:
    answer = post(path, body)
    assert (answer.status_code, answer.json()["detail"][0]["type"]) == (422, kind)


@pytest.mark.contract("C90")
def test_registration_can_be_closed(settings: Any) -> None:
    settings.REGISTRATION = "closed"
    answer = post("register", REGISTER)
    assert answer.status_code == 403
    assert answer.json()["detail"] == "Registration is closed: an administrator makes the users"
    assert not User.objects.exists()


@pytest.mark.contract("C90")
def test_nobody_registers_with_more_than_a_users_rights() -> None:
    more = {"is_staff": True, "is_superuser": True, "groups": [1, 2, 3], "roles": ["administrator"]}
    assert post("register", REGISTER | more).json()["roles"] == ["user"]
    user = User.objects.get()
    assert (user.is_staff, user.is_superuser, user.groups.count()) == (False, False, 0)


@pytest.mark.contract("C90")
def test_old_credentials_do_not_keep_anybody_from_signing_in() -> None:
    user_make("ada")
    answer = post("login", {"username": "ada", "password": PASSWORD}, Authorization="Bearer expired")
    assert answer.status_code == 200


@pytest.mark.contract("C90")
def test_a_sign_in_is_in_the_audit_log_without_any_secret() -> None:
    post("register", REGISTER)
    tokens = sign_in()
    post("login", {"username": "ada", "password": "a wrong one"})
    post("logout", {"refresh_token": tokens["refresh_token"]})
    told = [(entry.actor, entry.kind, entry.action, entry.outcome) for entry in AuditEntry.objects.order_by("pk")]
    assert told == [
        ("ada", "jwt", "user.register", "done"),
        ("ada", "jwt", "user.sign-in", "done"),
        ("anonymous", "anonymous", "user.sign-in", "refused"),
        ("ada", "jwt", "user.sign-out", "done"),
    ]
    assert {entry.address for entry in AuditEntry.objects.all()} == {"127.0.0.1"}
    assert all(entry.request_id for entry in AuditEntry.objects.all())
    kept = " ".join(str(vars(entry)) for entry in AuditEntry.objects.all())
    assert not any(secret in kept for secret in (PASSWORD, "a wrong one", *tokens.values()) if isinstance(secret, str))


@pytest.mark.contract("C91")
@pytest.mark.parametrize(
    ("groups", "status"), [((), 403), (("viewer",), 403), (("operator",), 200), (("administrator",), 200)]
)
def test_a_role_that_is_too_low_is_403_and_no_credentials_401(groups: tuple[str, ...], status: int) -> None:
    headers = bearer(user_make("ada", *groups))
    answer = Client().get("/api/cache/stats", headers=headers)
    assert answer.status_code == status
    if status == 403:
        assert answer.json() == {"detail": "This needs the role of operator"}  # type: ignore[attr-defined]
    assert Client().get("/api/cache/stats").status_code == 401


@pytest.mark.contract("C91")
def test_the_role_is_the_databases_and_not_the_tokens() -> None:
    user = user_make("ada", "operator")
    headers = bearer(user)
    assert Client().get("/api/cache/stats", headers=headers).status_code == 200
    user.groups.clear()
    assert Client().get("/api/cache/stats", headers=headers).status_code == 403
