"""People and programs of every role, and what each of them sends."""

from typing import Any

from django.contrib.auth.models import Group, User

from accounts.callers import Caller
from accounts.keys import key_create
from accounts.roles import Role
from accounts.tokens import tokens_issue

TESTER = Caller("tester", Role.ADMINISTRATOR, "shell", "shell")
PASSWORD = "nine long words of nobody"


def user_make(name: str, *groups: str, **fields: Any) -> User:
    """A user in these groups."""
    password = fields.pop("password", PASSWORD)
    user = User.objects.create_user(name, f"{name}@example.org", password, **fields)
    user.groups.set(Group.objects.filter(name__in=groups))
    return user


def bearer(user: User) -> dict[str, str]:
    return {"Authorization": f"Bearer {tokens_issue(user).access}"}


def api_key(scope: str, owner: User | None = None) -> dict[str, str]:
    return {"X-API-Key": key_create(f"{scope} key", scope, owner, None, TESTER)[1]}
