"""`manage.py liquidations_sample`: made-up orders into a sample database."""

import time
from argparse import ArgumentParser
from io import StringIO
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import connection

from liquidations.sample import INSTRUMENTS
from liquidations.sample_fill import sample_fill


class Command(BaseCommand):
    help = "Write made-up forced orders of the last days; into a sample database only (FEED=sample)."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--days", type=int, default=7, help="how far back (default 7)")
        parser.add_argument("--seed", type=int, default=7, help="other seeds, other orders (default 7)")
        parser.add_argument(
            "--symbols", type=int, default=len(INSTRUMENTS), help=f"how many, up to {len(INSTRUMENTS)} (the default)"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if settings.LIQUI_FEED != "sample":
            raise CommandError(
                f"FEED is {settings.LIQUI_FEED!r}: {connection.settings_dict['NAME']} may hold real orders, which "
                "made-up ones must not join. Run it as: FEED=sample manage.py liquidations_sample"
            )
        if not 1 <= options["symbols"] <= len(INSTRUMENTS):
            raise CommandError(f"--symbols must be 1 to {len(INSTRUMENTS)}.")
        if not 1 <= options["days"] <= 3660:
            raise CommandError("--days must be 1 to 3660.")
        call_command("migrate", interactive=False, verbosity=0)
        call_command("liquidations_table", "--create", stdout=StringIO())
        result = sample_fill(int(time.time() * 1000), options["days"], options["seed"], options["symbols"])
        database = connection.settings_dict["NAME"]
        self.stdout.write(f"{result.inserted:,} orders written to {database}, {result.duplicates:,} known already")
