"""Whom a view is for. Every view says so; one that does not is for administrators alone."""

from typing import Any

from django.conf import settings
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from accounts.callers import caller_of
from accounts.roles import Role


class Needs(BasePermission):
    """A role, or one that includes it. ``role`` None: nobody is asked who they are."""

    role: Role | None = Role.ADMINISTRATOR

    @property
    def message(self) -> str:
        return f"This needs the role of {self.role.label}" if self.role else ""

    def has_permission(self, request: Request, view: Any) -> bool:
        if self.role is None:
            return True
        return caller_of(request).role >= self.role


class Public(Needs):
    """Everybody, whatever credentials they send."""

    role = None


class Reads(Needs):
    """Everybody, or with READ_ACCESS=closed who has signed in or has a key. Wrong credentials are refused."""

    @property
    def role(self) -> Role:  # type: ignore[override]  # it depends on the settings
        return read_role()


class SignedIn(Needs):
    role = Role.USER


class Operates(Needs):
    role = Role.OPERATOR


class Administers(Needs):
    role = Role.ADMINISTRATOR


def read_role() -> Role:
    """What reading data needs."""
    return Role.USER if settings.READ_ACCESS == "closed" else Role.ANYBODY


def role_needed(view: Any) -> Role | None:
    """What the view says."""
    roles = [permission.role for permission in view.get_permissions() if isinstance(permission, Needs)]
    return max((role for role in roles if role is not None), default=None)
