"""What people and keys may do, as one ladder: each role includes those below it."""

from enum import IntEnum
from typing import Any


class Role(IntEnum):
    ANYBODY = 0  # no credentials
    USER = 1  # signed up, or a key of scope "read": reads what READ_ACCESS=closed hides from others
    VIEWER = 2  # sees the console
    OPERATOR = 3  # acts: cache, bars, imports, collector, instruments
    ADMINISTRATOR = 4  # users, keys, periodic tasks

    @property
    def label(self) -> str:
        return self.name.lower()


# Django's groups that stand for roles, made by a migration.
GROUPS = {role.label: role for role in (Role.VIEWER, Role.OPERATOR, Role.ADMINISTRATOR)}


def role_of(user: Any) -> Role:
    """The role of one of Django's users; looked up once for each object."""
    if user is None or not user.is_active or not user.is_authenticated:
        return Role.ANYBODY
    if user.is_superuser:
        return Role.ADMINISTRATOR
    if not hasattr(user, "liqui_role"):
        names = user.groups.values_list("name", flat=True)
        user.liqui_role = max((GROUPS[name] for name in names if name in GROUPS), default=Role.USER)
    return user.liqui_role
