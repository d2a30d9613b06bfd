"""Who may have a kept answer: the rule of `accounts.permissions.Reads`, before any view."""

from django.db import Error as DatabaseError

from accounts.identify import BadCredentials, identify_quickly
from accounts.permissions import read_role
from accounts.roles import Role
from cachemgmt.hits import Environ


def gate(environ: Environ) -> list[tuple[str, str]] | None:
    """For `cachemgmt.hits.gates`; None: the view refuses, or finds a session, which nobody looks for here."""
    try:
        caller = identify_quickly(environ)
    except BadCredentials:
        return None
    except DatabaseError:
        caller = None
    return [] if (caller.role if caller else Role.ANYBODY) >= read_role() else None
