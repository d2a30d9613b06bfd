"""``manage.py sync_instruments``: the table of instruments, brought to what the venue lists."""

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import Error

from database.migrating import sqlite_migrate
from marketdata.errors import LiquiError
from marketdata.services import instruments_sync


class Command(BaseCommand):
    help = "Bring the table of instruments (symbols) to what Binance lists. Safe to run again."

    def handle(self, *args: Any, **options: Any) -> None:
        self.stdout.write(f"Asking {settings.BINANCE_API_BASE_URL}")
        try:
            sqlite_migrate()
            result = instruments_sync()
        except LiquiError as error:
            raise CommandError(str(error)) from error
        except Error as error:
            raise CommandError(f"{settings.ENVIRONMENT.database_place}: {error}") from error
        self.stdout.write(
            f"{result.listed} instruments listed: {result.added} new, {result.changed} changed, "
            f"{result.delisted} not listed any more"
        )
