"""Names and passwords, at /admin/login/ and at /api/v1/auth/login alike: Django's check, with limited attempts."""

from typing import Any

from django.contrib.auth.backends import ModelBackend
from django.contrib.auth.base_user import AbstractBaseUser
from django.http import HttpRequest

from accounts.attempts import attempt_begin, attempt_succeeded
from api.addresses import client_address


class LimitedBackend(ModelBackend):
    """Raises `TooManyAttempts`. A name that nobody has costs the same time as a wrong password."""

    def authenticate(
        self, request: HttpRequest | None, username: str | None = None, password: str | None = None, **kwargs: Any
    ) -> AbstractBaseUser | None:
        if username is None or password is None:
            return None
        address = client_address(request.META) if request is not None else ""
        attempt_begin(username, address)
        user = super().authenticate(request, username=username, password=password, **kwargs)
        if user is not None:
            attempt_succeeded(username, address)
        return user
