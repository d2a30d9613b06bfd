"""``manage.py first_administrator``: where there are no users yet, makes one and prints the password once."""

from typing import Any

from django.core.management.base import BaseCommand

from accounts.first import NAME, first_administrator


class Command(BaseCommand):
    help = "Make the administrator of a database that has no users yet; the random password is printed once."

    def handle(self, *args: Any, **options: Any) -> None:
        password = first_administrator()
        if password is not None:
            self.stdout.write(f"{NAME} {password}")
