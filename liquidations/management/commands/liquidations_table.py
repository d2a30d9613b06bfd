"""``manage.py liquidations_table``: make the table of forced orders, or tell what an existing one lacks."""

from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import Error

from liquidations import schema
from liquidations.table import TableUnusable, table_create, table_profile


class Command(BaseCommand):
    help = "Make the table of forced orders (DB_LIQ_TABLENAME), or print as SQL what an existing one lacks."

    def add_arguments(self, parser: ArgumentParser) -> None:
        what = parser.add_mutually_exclusive_group(required=True)
        what.add_argument("--create", action="store_true", help="make the table; an existing one is left as it is")
        what.add_argument("--check", action="store_true", help="print what the table lacks as SQL; alters nothing")
        what.add_argument("--sql", choices=schema.DIALECTS, help="print the SQL that makes the table on this server")

    def handle(self, *args: Any, create: bool, check: bool, sql: schema.Dialect | None, **options: Any) -> None:
        try:
            if sql:
                self.print_statements(schema.create_statements(settings.DB_LIQ_TABLENAME, sql))
            elif create:
                self.create()
            else:
                self.check_table()
        except TableUnusable as error:
            raise CommandError(str(error)) from error
        except Error as error:
            raise CommandError(f"{settings.ENVIRONMENT.database_place}: {error}") from error

    def print_statements(self, statements: list[str]) -> None:
        for statement in statements:
            self.stdout.write(f"{statement};")

    def create(self) -> None:
        made = table_create()
        verb = "made" if made else "exists already and is left as it is; --check tells what it lacks"
        self.stdout.write(f"Table {settings.DB_LIQ_TABLENAME}: {verb}.")

    def check_table(self) -> None:
        profile = table_profile()
        lacks = profile.lacks()
        for warning in profile.warnings():
            self.stderr.write(self.style.WARNING(f"Warning: {warning}"))
        if not lacks:
            self.stdout.write(f"-- Table {profile.name} lacks nothing.")
        for lack in lacks:
            self.stdout.write(f"-- Without {lack.name}, {lack.why}.")
            if lack.name == schema.IDENTITY_NAME:
                # Not counted here: over millions of rows that takes minutes.
                query = schema.duplicates_query(profile.name, profile.dialect)
                self.stdout.write(
                    f"-- Fails while an order is there twice; this counts the surplus copies:\n-- {query};"
                )
            self.print_statements([lack.sql])
