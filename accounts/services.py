"""Signing up, in and out by the API; each is in the audit log."""

from django.contrib.auth import authenticate
from django.contrib.auth.models import User, update_last_login
from django.db import IntegrityError
from django.http import HttpRequest
from rest_framework_simplejwt.exceptions import TokenError

from accounts.audit import record
from accounts.callers import Caller
from accounts.roles import role_of
from accounts.tokens import Issued, TokenReplayed, tokens_issue, tokens_revoke, tokens_rotate
from api.addresses import client_address


class NameTaken(Exception):
    """Somebody has this user name already."""


def sign_up(request: HttpRequest, username: str, email: str, password: str) -> User:
    """A new user without any group. Raises `NameTaken`."""
    if User.objects.filter(username__iexact=username).exists():
        raise NameTaken
    try:
        user = User.objects.create_user(username, email, password)
    except IntegrityError:
        raise NameTaken from None
    record(actor(request, user), "user.register", username)
    return user


def sign_in(request: HttpRequest, username: str, password: str) -> Issued | None:
    """None: wrong name or password. Raises `TooManyAttempts`."""
    user = authenticate(request, username=username, password=password)
    if not isinstance(user, User):
        return None
    issued = tokens_issue(user)
    update_last_login(User, user)
    record(actor(request, user), "user.sign-in", user.get_username())
    return issued


def sign_on(request: HttpRequest, refresh_token: str) -> Issued:
    """The next tokens. Raises `TokenError`."""
    try:
        return tokens_rotate(refresh_token)[1]
    except TokenReplayed as replay:
        name = replay.user.get_username()
        record(actor(request, replay.user), "user.sign-out", name, reason="a refresh token was used twice")
        raise TokenError(str(replay)) from None


def sign_out(request: HttpRequest, refresh_token: str) -> None:
    """Raises `TokenError`."""
    user = tokens_revoke(refresh_token)
    record(actor(request, user), "user.sign-out", user.get_username())


def actor(request: HttpRequest, user: User) -> Caller:
    bucket, address = f"user:{user.pk}", client_address(request.META)
    return Caller(user.get_username(), role_of(user), "jwt", bucket, user.pk, address)
