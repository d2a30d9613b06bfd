"""The audit log: every sign-in, and every change of keys, users, cache, bars, data and settings.

An entry must not undo what it tells of: a database that cannot take it is said in the log instead.
"""

import getpass
from typing import Any, Literal

import structlog
from django.db import Error as DatabaseError
from django.http import HttpRequest
from structlog.contextvars import get_contextvars

from accounts.callers import Caller
from accounts.models import AuditEntry
from accounts.roles import Role, role_of
from api.addresses import client_address

logger = structlog.get_logger(__name__)

Outcome = Literal["done", "refused", "failed"]
SYSTEM = Caller("liqui", Role.ADMINISTRATOR, "system", "system")


def record(
    actor: Caller,
    action: str,
    target: str = "",
    *,
    amount: int | None = None,
    outcome: Outcome = "done",
    request_id: str = "",
    **details: Any,
) -> None:
    """Keep it: ``action`` is thing.verb (cache.clear, import.start), ``amount`` how many keys or rows."""
    try:
        AuditEntry.objects.create(
            actor=actor.name[:150],
            kind=actor.kind,
            action=action,
            target=target[:255],
            amount=amount,
            outcome=outcome,
            address=actor.address[:64],
            request_id=(request_id or get_contextvars().get("request_id", ""))[:128],
            details=details,
        )
    except DatabaseError as error:
        logger.error(f"audit entry lost: {error}", actor=actor.name, action=action, target=target, outcome=outcome)


def console_actor(request: HttpRequest) -> Caller:
    """Who is signed in to the console."""
    user: Any = request.user
    address = client_address(request.META)
    return Caller(user.get_username(), role_of(user), "session", f"user:{user.pk}", user.pk, address)


def shell_actor() -> Caller:
    """Whoever runs a command."""
    try:
        name = getpass.getuser()
    except (KeyError, OSError):
        name = "unknown"
    return Caller(f"shell: {name}", Role.ADMINISTRATOR, "shell", "shell")
