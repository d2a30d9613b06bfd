"""Tokens that are not good: every way in which one can be wrong is 401, on endpoints that act and that read."""

import base64
import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import jwt
import pytest
from django.conf import settings as configured
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.utils import timezone
from rest_framework_simplejwt.token_blacklist.models import BlacklistedToken, OutstandingToken

from accounts import tokens
from accounts.tasks import remove_expired
from accounts.tokens import tokens_issue
from tests.accounts.people import bearer, user_make

SECRET = configured.SIMPLE_JWT["SIGNING_KEY"]
ALGORITHM = configured.SIMPLE_JWT["ALGORITHM"]
# One that acts, one that reads, one that answers who it is.
PATHS = ("/api/cache/stats", "/api/v1/gaps", "/api/v1/auth/me")


@pytest.fixture
def user(db: None) -> User:
    return user_make("ada", "administrator")


def signed(claims: dict[str, Any], secret: str = SECRET, algorithm: str = ALGORITHM) -> str:
    return jwt.encode(claims, secret, algorithm=algorithm)


def claims_of(user: User, **changed: Any) -> dict[str, Any]:
    claims = jwt.decode(tokens_issue(user).access, SECRET, [ALGORITHM])
    return {name: value for name, value in (claims | changed).items() if value is not None}


def unsigned(claims: dict[str, Any], algorithm: str) -> str:
    parts = [json.dumps(part).encode() for part in ({"alg": algorithm, "typ": "JWT"}, claims)]
    return b".".join(base64.urlsafe_b64encode(part).rstrip(b"=") for part in parts).decode() + "."


def tampered(user: User) -> str:
    """The payload of an administrator under the signature of somebody else's token."""
    head, _, signature = tokens_issue(user_make("eve")).access.split(".")
    return f"{head}.{tokens_issue(user).access.split('.')[1]}.{signature}"


BAD: dict[str, Callable[[User], str]] = {
    "expired": lambda user: signed(claims_of(user, exp=int(time.time()) - 1)),
    "tampered": tampered,
    "signed with another secret": lambda user: signed(claims_of(user), "another secret " * 5),
    "signed with the other key of ours": lambda user: signed(claims_of(user), configured.SECRET_KEY),
    "alg=none": lambda user: unsigned(claims_of(user), "none"),
    "alg=None": lambda user: unsigned(claims_of(user), "None"),
    "without its signature": lambda user: tokens_issue(user).access.rpartition(".")[0] + ".",
    "of another algorithm": lambda user: signed(claims_of(user), algorithm="HS512"),
    "a refresh token": lambda user: tokens_issue(user).refresh,
    "without a type": lambda user: signed(claims_of(user, type=None)),
    "of an unknown type": lambda user: signed(claims_of(user, type="sliding")),
    "without an end": lambda user: signed(claims_of(user, exp=None)),
    "without an id": lambda user: signed(claims_of(user, jti=None)),
    "of nobody": lambda user: signed(claims_of(user, sub="999999999")),
    "without a subject": lambda user: signed(claims_of(user, sub=None)),
    "of no number": lambda user: signed(claims_of(user, sub="ada")),
    "of too large a number": lambda user: signed(claims_of(user, sub="9" * 40)),
    "of digits that are none": lambda user: signed(claims_of(user, sub="²")),
    "of no sign-in": lambda user: signed(claims_of(user, family="0" * 32)),
    "of another's sign-in": lambda user: signed(claims_of(user, family=claims_of(user_make("eve"))["family"])),
    "with another password's stamp": lambda user: signed(claims_of(user, stamp="0" * 16)),
    "empty": lambda user: "",
    "no token": lambda user: "no token",
    "far too long": lambda user: "a." * 20_000,
    "not ASCII": lambda user: "é.ü.ß",
}
NO_REFRESH = {name: token for name, token in BAD.items() if name != "a refresh token"} | {
    "an access token": lambda user: tokens_issue(user).access
}


@pytest.mark.parametrize("token", BAD.values(), ids=list(BAD))
def test_a_token_that_is_not_good_is_401_everywhere(user: User, token: Callable[[User], str]) -> None:
    headers = {"Authorization": f"Bearer {token(user)}"}
    for path in PATHS:
        answer: Any = Client().get(path, headers=headers)
        assert answer.status_code == 401, path
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")
        assert answer.json()["detail"] in {
            "Token is invalid",
            "Token is expired",
            "Token is revoked",
            "Token has wrong type",
            "Token has no type",
            "Token has no id",
            "Token has no 'exp' claim",
        }


def test_a_good_token_is_good(user: User) -> None:
    for path in PATHS:
        assert Client().get(path, headers=bearer(user)).status_code == 200


def test_a_token_ends_with_its_user_and_with_the_password(user: User) -> None:
    headers = bearer(user)
    other = bearer(user)
    user.set_password("another long password")
    user.save()
    assert Client().get(PATHS[0], headers=headers).status_code == 401
    user.refresh_from_db()
    fresh = bearer(user)
    User.objects.update(is_active=False)
    for old in (other, fresh):
        assert Client().get(PATHS[0], headers=old).status_code == 401


def refresh(token: str) -> Any:
    body = {"refresh_token": token}
    return Client().post("/api/v1/auth/refresh", body, content_type="application/json")


@pytest.mark.parametrize("token", NO_REFRESH.values(), ids=list(NO_REFRESH))
def test_nothing_but_a_refresh_token_refreshes(user: User, token: Callable[[User], str]) -> None:
    assert refresh(token(user)).status_code in (401, 422)


def test_a_refresh_token_that_is_used_again_ends_the_whole_sign_in(user: User, monkeypatch: pytest.MonkeyPatch) -> None:
    stolen = tokens_issue(user)
    elsewhere = bearer(user)
    successor = refresh(stolen.refresh).json()
    BlacklistedToken.objects.update(blacklisted_at=timezone.now() - 2 * tokens.GRACE)
    answer = refresh(stolen.refresh)
    assert (answer.status_code, answer.json()["detail"]) == (401, "Token has been used")
    # Neither the thief nor the victim goes on; other sign-ins do.
    assert refresh(successor["refresh_token"]).status_code == 401
    headers = {"Authorization": f"Bearer {successor['access_token']}"}
    assert Client().get(PATHS[0], headers=headers).status_code == 401
    assert Client().get(PATHS[0], headers=elsewhere).status_code == 200


def test_two_tabs_that_refresh_at_once_are_no_theft(user: User) -> None:
    issued = tokens_issue(user)
    successor = refresh(issued.refresh).json()
    assert refresh(issued.refresh).status_code == 401
    assert refresh(successor["refresh_token"]).status_code == 200


def test_of_many_uses_at_once_one_gets_the_next_tokens(transactional_db: None) -> None:
    issued = tokens_issue(user_make("ada"))

    def use(_: int) -> int:
        try:
            return refresh(issued.refresh).status_code
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(use, range(8))) == [200] + [401] * 7


def test_the_database_holds_no_token(user: User) -> None:
    issued = tokens_issue(user)
    kept = [str(vars(row)) for row in OutstandingToken.objects.all()]
    assert kept
    assert not any(issued.refresh in row or issued.refresh.rpartition(".")[2] in row for row in kept)


def test_what_has_expired_is_removed(user: User) -> None:
    tokens_issue(user)
    OutstandingToken.objects.update(expires_at=timezone.now())
    remove_expired()
    assert not OutstandingToken.objects.exists()
