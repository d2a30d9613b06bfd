"""``manage.py liquidation_bars``: build, rebuild, verify the bars, and tell how they stand."""

from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import Error
from tqdm import tqdm

from accounts.audit import record, shell_actor
from liquidations.bars import bars_advance, bars_rebuild, bars_status, stale_days_build_some, stale_symbols
from liquidations.caching import orders_changed_outside
from liquidations.domain import MAX_TIMESTAMP_MS, format_iso, parse_timestamp_ms
from liquidations.table import TableUnusable
from liquidations.verifying import bars_verify
from marketdata.clock import clock_ms

ACTIONS = {
    "build": "bring the bars up to date",
    "rebuild": "make bars again from the table; it answers until they are done",
    "status": "how far the bars reach, and what waits to be built",
    "verify": "compare the bars with the table; exit status 1 when they differ",
}


class Command(BaseCommand):
    help = "Liquidation bars: " + "; ".join(f"{name}: {what}" for name, what in ACTIONS.items()) + "."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("action", choices=ACTIONS)
        parser.add_argument("--symbol", help="this symbol alone (rebuild, verify)")
        parser.add_argument("--since", default="0", help="start of the window (rebuild, verify): ms or ISO 8601")
        parser.add_argument("--until", default=str(MAX_TIMESTAMP_MS), help="end of the window, not included")
        parser.add_argument("--repair", action="store_true", help="verify: mark what differs to be built again")

    def handle(self, *args: Any, action: str, **options: Any) -> None:
        try:
            getattr(self, action)(options)
        except TableUnusable as error:
            raise CommandError(str(error)) from error
        except Error as error:
            raise CommandError(f"{settings.ENVIRONMENT.database_place}: {error}") from error

    def build(self, options: dict[str, Any]) -> None:
        bars_advance(clock_ms())
        self.build_stale_days()

    def rebuild(self, options: dict[str, Any]) -> None:
        bars_advance(clock_ms())
        window = self.window(options)
        bars_rebuild(options["symbol"], *window)
        record(shell_actor(), "bars.rebuild", options["symbol"] or "", since_ms=window[0], until_ms=window[1])
        # Whoever rebuilds does so because rows were changed behind our back.
        orders_changed_outside(options["symbol"])
        self.build_stale_days()

    def build_stale_days(self) -> None:
        """Here; workers and further runs of this command take their share meanwhile."""
        total = bars_status().stale_days
        with tqdm(total=total, unit="day", disable=total == 0, mininterval=1) as progress:
            for symbol in stale_symbols():
                progress.set_postfix_str(symbol, refresh=False)
                while days := stale_days_build_some(symbol):
                    progress.update(days)
        self.status({})

    def status(self, options: dict[str, Any]) -> None:
        status = bars_status()
        if status.built_until_ms is None or status.lag_ms is None:
            self.stdout.write("Bars have not been built yet; the table answers every request.")
        else:
            self.stdout.write(
                f"Bars are built until {format_iso(status.built_until_ms)}, {status.lag_ms // 1000} s behind the clock "
                f"({settings.BARS_REREAD_SECONDS} s of them on purpose: BARS_REREAD_SECONDS)."
            )
        if status.stale_days:
            self.stdout.write(f"{status.stale_days} days of {status.stale_symbols} symbols wait to be built.")

    def verify(self, options: dict[str, Any]) -> None:
        found = 0
        for difference in bars_verify(options["symbol"], *self.window(options), repair=options["repair"]):
            found += 1
            self.stdout.write(str(difference))
        if options["repair"]:
            record(shell_actor(), "bars.repair", options["symbol"] or "", amount=found)
        if not found:
            stale = bars_status().stale_days
            self.stdout.write(f"Every bar equals the table{f'; {stale} stale days were left out' if stale else ''}.")
            return
        advice = "they are marked to be built again" if options["repair"] else "--repair marks them to be built again"
        raise CommandError(f"{found} days differ from the table; {advice}.", returncode=1)

    def window(self, options: dict[str, Any]) -> tuple[int, int]:
        try:
            return parse_timestamp_ms(options["since"]), parse_timestamp_ms(options["until"])
        except ValueError as error:
            raise CommandError(f"--since and --until: {error}") from error
