"""``manage.py api_key``: make, list and revoke the keys of programs."""

from argparse import ArgumentParser
from datetime import timedelta
from typing import Any

from django.contrib.auth.models import User
from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from accounts.audit import shell_actor
from accounts.keys import key_create, key_revoke
from accounts.models import ApiKey

MAX_DAYS = 36_500


class Command(BaseCommand):
    help = "Keys with which programs call the API."

    def add_arguments(self, parser: ArgumentParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
        create = actions.add_parser("create", help="make a key; it is printed once")
        create.add_argument("name", metavar="NAME", help="what it is for")
        create.add_argument("--scope", choices=ApiKey.Scope.values, default=ApiKey.Scope.READ.value)
        create.add_argument("--owner", metavar="USER", help="it may never do more than this user")
        create.add_argument("--days", type=int, metavar="DAYS", help="until it expires; default: never")
        actions.add_parser("list", help="all keys, the newest first")
        actions.add_parser("revoke", help="end a key").add_argument("prefix", metavar="PREFIX", help="as list shows it")

    def handle(self, *args: Any, action: str, **options: Any) -> None:
        getattr(self, action)(options)

    def create(self, options: dict[str, Any]) -> None:
        days = options["days"]
        if days is not None and not 1 <= days <= MAX_DAYS:
            raise CommandError(f"--days {days}: not from 1 to {MAX_DAYS}")
        if not 0 < len(options["name"].strip()) <= 64:
            raise CommandError(f"{options['name']!r}: a name has 1 to 64 characters")
        expires_at = timezone.now() + timedelta(days=days) if days else None
        owner = owner_of(options["owner"])
        key, text = key_create(options["name"].strip(), options["scope"], owner, expires_at, shell_actor())
        self.stderr.write(f"{key}, scope {key.scope}; the key is shown this once:")
        self.stdout.write(text)

    def list(self, options: dict[str, Any]) -> None:
        for key in ApiKey.objects.select_related("owner").order_by("-created_at"):
            owner = key.owner.get_username() if key.owner else "-"
            used = f"{key.last_used_at:%Y-%m-%d %H:%M}" if key.last_used_at else "never"
            self.stdout.write(f"{key.prefix}  {key.scope:7}  {key.state:7}  used {used}  {owner}  {key.name}")

    def revoke(self, options: dict[str, Any]) -> None:
        key = ApiKey.objects.filter(prefix=options["prefix"]).first()
        if key is None:
            raise CommandError(f"There is no key {options['prefix']!r}. See: manage.py api_key list")
        key_revoke(key, shell_actor())
        self.stdout.write(f"{key} is revoked.")


def owner_of(name: str | None) -> User | None:
    if name is None:
        return None
    user = User.objects.filter(username=name).first()
    if user is None:
        raise CommandError(f"--owner {name!r}: there is no such user")
    return user
