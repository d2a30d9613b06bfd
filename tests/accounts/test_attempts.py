"""Guessing passwords: limited at both doors, atomically, and nobody learns who has an account."""

import statistics
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.db.models import F
from django.test import Client

from accounts import attempts
from accounts.attempts import OF_ADDRESS, OF_PAIR, TooManyAttempts, attempt_begin, attempt_succeeded
from accounts.models import AuditEntry, SignInAttempts
from accounts.tasks import remove_expired
from tests.accounts.people import PASSWORD, user_make

LOGIN = "/api/v1/auth/login"
HERE, ELSEWHERE = "192.0.2.1", "198.51.100.2"


def by_api(name: str, password: str, address: str = HERE) -> Any:
    body = {"username": name, "password": password}
    return Client(REMOTE_ADDR=address).post(LOGIN, body, content_type="application/json")


def by_console(name: str, password: str, address: str = HERE) -> Any:
    form = {"username": name, "password": password, "next": "/admin/"}
    return Client(REMOTE_ADDR=address).post("/admin/login/", form)


@pytest.fixture
def user(db: None) -> User:
    return user_make("ada", "administrator")


def later(seconds: float) -> None:
    """Let time pass."""
    ago = timedelta(seconds=seconds)
    SignInAttempts.objects.update(seen_at=F("seen_at") - ago, paused_until=F("paused_until") - ago)


@pytest.mark.parametrize("door", [by_api, by_console])
def test_after_five_failures_even_the_right_password_has_to_wait(user: User, door: Callable[..., Any]) -> None:
    for _ in range(OF_PAIR):
        assert door("ada", "wrong").status_code in (200, 401)
    refused = door("ada", PASSWORD)
    assert refused.status_code == 429
    assert 0 < int(refused.headers["Retry-After"]) <= 30
    assert "try again in" in refused.content.decode()
    # Both doors are one.
    assert by_api("ada", PASSWORD).status_code == by_console("ada", PASSWORD).status_code == 429
    # From elsewhere its owner gets in.
    assert by_api("ada", PASSWORD, ELSEWHERE).status_code == 200
    later(30)
    assert door("ada", PASSWORD).status_code in (200, 302)


def test_each_further_failure_doubles_the_wait_up_to_a_quarter_of_an_hour(user: User) -> None:
    for _ in range(OF_PAIR - 1):
        by_api("ada", "wrong")
    waits = []
    for _ in range(8):
        assert by_api("ada", "wrong").status_code == 401
        waits.append(int(by_api("ada", "wrong").headers["Retry-After"]))
        later(waits[-1])
    assert waits == [30, 60, 120, 240, 480, 900, 900, 900]


def test_what_is_refused_counts_for_nothing_and_all_is_forgotten_after_an_hour(user: User) -> None:
    for _ in range(OF_PAIR + 20):
        by_api("ada", "wrong")
    assert {row.failures for row in SignInAttempts.objects.all()} == {OF_PAIR}
    later(attempts.FORGOTTEN_AFTER.total_seconds() + 1)
    for _ in range(OF_PAIR - 1):
        assert by_api("ada", "wrong").status_code == 401
    assert by_api("ada", PASSWORD).status_code == 200


def test_a_good_sign_in_begins_anew_and_buys_no_guesses_at_others(user: User) -> None:
    user_make("eve")
    for guess in range(OF_ADDRESS):
        assert by_api(f"victim{guess}", "wrong").status_code == 401
        if guess < OF_ADDRESS - 1:
            assert by_api("eve", PASSWORD).status_code == 200
    assert by_api("victim", "wrong").status_code == 429
    assert by_api("eve", PASSWORD).status_code == 429


@pytest.mark.parametrize("name", ["ada", "ADA", "ａｄａ"])
def test_other_spellings_of_a_name_are_no_further_guesses(user: User, name: str) -> None:
    for spelling in ("ada", "Ada", "aDa", "adA", name):
        by_api(spelling, "wrong")
    assert by_api(name, "wrong").status_code == 429


def test_a_forged_address_buys_no_guesses(user: User) -> None:
    answers = []
    for guess in range(OF_PAIR + 1):
        body = {"username": "ada", "password": "wrong"}
        headers = {"X-Forwarded-For": f"203.0.113.{guess}"}
        client = Client(REMOTE_ADDR=HERE)
        answers.append(client.post(LOGIN, body, content_type="application/json", headers=headers).status_code)
    assert answers == [401] * OF_PAIR + [429]


def test_of_many_guesses_at_once_five_are_looked_at(transactional_db: None) -> None:
    def guess(_: int) -> bool:
        try:
            attempt_begin("ada", HERE)
        except TooManyAttempts:
            return False
        finally:
            connection.close()
        return True

    with ThreadPoolExecutor(16) as pool:
        assert sum(pool.map(guess, range(64))) == OF_PAIR


def test_good_sign_ins_at_once_leave_no_count(transactional_db: None) -> None:
    def sign_in(_: int) -> None:
        try:
            attempt_begin("ada", HERE)
            attempt_succeeded("ada", HERE)
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(sign_in, range(32)))
    assert {row.failures for row in SignInAttempts.objects.all()} == {0}


def test_neither_words_nor_status_tell_who_has_an_account(user: User) -> None:
    inactive = user_make("gone")
    User.objects.filter(pk=inactive.pk).update(is_active=False)
    cases = (("ada", "wrong"), ("nobody", "wrong"), ("gone", "wrong"), ("gone", PASSWORD))
    answers = [by_api(*case) for case in cases]
    assert {(answer.status_code, answer.content) for answer in answers} == {(401, answers[0].content)}
    pages = [by_console(*case, ELSEWHERE) for case in cases]
    errors = {page.context_data["form"].non_field_errors().as_text() for page in pages}
    assert len(errors) == 1


def test_a_name_that_nobody_has_takes_as_long_as_a_wrong_password(user: User, settings: Any) -> None:
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.PBKDF2PasswordHasher"]
    user.set_password(PASSWORD)
    user.save()

    def seconds(name: str) -> float:
        began = time.perf_counter()
        by_api(name, "wrong", f"203.0.113.{len(taken)}")
        return time.perf_counter() - began

    taken: list[tuple[float, float]] = []
    for _ in range(4):
        taken.append((seconds("ada"), seconds("nobody")))
    known, unknown = (statistics.median(each) for each in zip(*taken, strict=True))
    assert 0.5 < known / unknown < 2


def test_no_typed_name_is_kept_that_nobody_has(user: User) -> None:
    by_api("my secret password", "wrong")
    by_api("ada", "wrong")
    told = list(AuditEntry.objects.order_by("pk").values_list("action", "target", "outcome", "address"))
    assert told == [
        ("user.sign-in", "an unknown user name", "refused", HERE),
        ("user.sign-in", "ada", "refused", HERE),
    ]
    assert "secret" not in " ".join(SignInAttempts.objects.values_list("key", flat=True))


def test_old_counts_are_removed(user: User) -> None:
    by_api("ada", "wrong")
    remove_expired()
    assert SignInAttempts.objects.count() == 3
    later(attempts.FORGOTTEN_AFTER.total_seconds() + 1)
    remove_expired()
    assert not SignInAttempts.objects.exists()
