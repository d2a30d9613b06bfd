"""The first administrator of a database without users, so that a new installation can be signed in to."""

import secrets

from django.contrib.auth.models import User
from django.db import transaction

from accounts.audit import SYSTEM, record

NAME = "admin"
PASSWORD_BYTES = 12


def first_administrator() -> str | None:
    """The random password of the administrator "admin", who has just been made; None where there are users."""
    with transaction.atomic():
        if User.objects.exists():
            return None
        password = secrets.token_urlsafe(PASSWORD_BYTES)
        User.objects.create_superuser(NAME, "", password)
    record(SYSTEM, "user.create", NAME)
    return password
