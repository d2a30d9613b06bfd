"""Who signs in to the console, or fails to anywhere, is in the audit log."""

from typing import Any

from django.contrib.auth.models import User
from django.contrib.auth.signals import user_logged_in, user_logged_out, user_login_failed
from django.dispatch import receiver
from django.http import HttpRequest

from accounts.audit import record
from accounts.callers import Caller, anonymous
from accounts.roles import role_of
from api.addresses import client_address


@receiver(user_logged_in)
def signed_in(sender: Any, request: HttpRequest, user: Any, **kwargs: Any) -> None:
    record(signed(request, user), "user.sign-in", user.get_username())


@receiver(user_logged_out)
def signed_out(sender: Any, request: HttpRequest, user: Any, **kwargs: Any) -> None:
    if user is not None:
        record(signed(request, user), "user.sign-out", user.get_username())


@receiver(user_login_failed)
def refused(sender: Any, credentials: dict[str, Any], request: HttpRequest | None = None, **kwargs: Any) -> None:
    name = str(credentials.get("username", ""))
    # What nobody is called may be a password that went into the wrong field.
    target = name if User.objects.filter(username=name).exists() else "an unknown user name"
    record(anonymous(address(request)), "user.sign-in", target, outcome="refused")


def signed(request: HttpRequest, user: Any) -> Caller:
    return Caller(user.get_username(), role_of(user), "session", f"user:{user.pk}", user.pk, address(request))


def address(request: HttpRequest | None) -> str:
    return client_address(request.META) if request is not None else ""
