"""Tables before the first ``make run``."""

from django.core.management import call_command
from django.db import connection


def sqlite_migrate() -> None:
    """Make or alter the tables of a SQLite file, which is ours; on a server the user decides.

    A command may well come before the service has run once.
    """
    if connection.vendor == "sqlite":
        call_command("migrate", interactive=False, verbosity=0)
