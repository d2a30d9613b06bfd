"""``manage.py cache``: look at the response cache, remove answers from it, and fill it."""

from argparse import ArgumentParser
from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from tqdm import tqdm

from accounts.audit import record, shell_actor
from cachemgmt import tasks
from cachemgmt.operations import answers_clear, cache_stats, symbol_invalidate, symbols_invalidate
from cachemgmt.stores import store
from cachemgmt.warming import INTERVAL_S, Progress, latest, warm

# What another process keeps in its own memory cannot be looked at from here.
ELSEWHERE = "Answers are kept in the memory of the server's process (no Redis is set)"
TRAFFIC = ("hits", "misses", "stale", "coalesced", "saved_seconds")
CONTENTS = ("keys", "bytes", "ttl_seconds")


class Command(BaseCommand):
    help = "The response cache: figures, lists, removing answers, warming."

    def add_arguments(self, parser: ArgumentParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")

        def action(name: str, what: str) -> ArgumentParser:
            return actions.add_parser(name, help=what, description=what.capitalize() + ".")

        action("stats", "what the cache holds and does")
        action("list", "kept answers: key, bytes, seconds until removal").add_argument(
            "pattern", nargs="?", default="*"
        )
        action("clear", "remove answers whose keys match a glob, such as 'liq:BTC*'; without one all").add_argument(
            "pattern", nargs="?", default="*"
        )
        action("invalidate", "remove the answers about symbols").add_argument("symbols", nargs="+", metavar="SYMBOL")
        action("invalidate-symbols", "remove the list of symbols")
        action("warm", "make what clients are going to ask for")

    def handle(self, *args: Any, action: str, **options: Any) -> None:
        getattr(self, action.replace("-", "_"))(options)

    def stats(self, options: dict[str, Any]) -> None:
        stats = cache_stats()
        self.stdout.write(f"store: {ELSEWHERE if is_elsewhere() else stats['store']}")
        columns = TRAFFIC if is_elsewhere() else (*TRAFFIC, *CONTENTS)
        self.stdout.write("  ".join(["namespace ", *(f"{name:>13}" for name in columns)]))
        for name, figures in stats["namespaces"].items():
            self.stdout.write("  ".join([f"{name:10}", *(f"{figures[column]:>13,}" for column in columns)]))
        if not stats["available"]:
            raise CommandError(stats["breaker"]["reason"] or stats["error"])
        if not is_elsewhere():
            self.stdout.write(f"hit rate of the whole server: {stats['hit_rate']} %")

    def list(self, options: dict[str, Any]) -> None:
        if is_elsewhere():
            raise CommandError(f"{ELSEWHERE}, which only GET /api/cache/stats can look at.")
        for entry in store().entries(options["pattern"]):
            self.stdout.write(f"{entry.key}  {entry.bytes} bytes  {entry.ttl_s:.0f} s")
        self.require_well()

    def clear(self, options: dict[str, Any]) -> None:
        pattern = options["pattern"]
        self.removed("cache.clear", pattern, lambda: answers_clear(pattern), f"matching {pattern}")

    def invalidate(self, options: dict[str, Any]) -> None:
        for symbol in options["symbols"]:
            name = symbol.strip().upper()
            self.removed("cache.invalidate", name, lambda symbol=symbol: symbol_invalidate(symbol), f"about {name}")

    def invalidate_symbols(self, options: dict[str, Any]) -> None:
        symbols_invalidate()
        self.require_well()
        record(shell_actor(), "cache.invalidate-symbols")
        if is_elsewhere():
            self.stdout.write(f"{ELSEWHERE}: it has been told to remove the list of symbols.")
        else:
            self.stdout.write("The list of symbols is made anew for the next request.")

    def warm(self, options: dict[str, Any]) -> None:
        if is_elsewhere():
            record(shell_actor(), "cache.warm")
            tasks.warm.apply_async(expires=INTERVAL_S)  # type: ignore[attr-defined]  # celery's annotations have no tasks
            self.stdout.write(f"{ELSEWHERE}: its worker has been asked to warm them.")
            return
        # Asks the store, which says at once if it is away; the database would be asked for nothing.
        latest()
        self.require_well()
        with tqdm(unit="answer", mininterval=1) as bar:

            def show(progress: Progress) -> None:
                bar.total = progress.total
                bar.update(progress.done - bar.n)

            progress = warm(show)
        if progress is None:
            running = latest()
            raise CommandError(
                f"Another run is at it: {running.done if running else 0} done. See: manage.py cache stats"
            )
        record(shell_actor(), "cache.warm", amount=progress.made)
        fresh = progress.done - progress.made - progress.failed
        self.stdout.write(
            f"{progress.made} answers made in {progress.seconds} s, {fresh} were fresh, {progress.failed} failed."
        )
        if progress.done < progress.total:
            raise CommandError(f"The database cannot be used: {settings.ENVIRONMENT.database_place}.")

    def removed(self, action: str, target: str, remove: Callable[[], int], what: str) -> None:
        count = remove()
        self.require_well()
        # What the server's memory holds, it alone knows.
        record(shell_actor(), action, target, amount=None if is_elsewhere() else count)
        if is_elsewhere():
            self.stdout.write(
                f"{ELSEWHERE}: it has been told to remove those {what}; how many there are, it alone knows."
            )
        else:
            self.stdout.write(f"{count} answers {what} removed.")

    def require_well(self) -> None:
        """What a store that is away was told, it has not heard, and this process ends."""
        if trouble := store().trouble:
            raise CommandError(f"{trouble}: nothing was done.")


def is_elsewhere() -> bool:
    return not settings.ENVIRONMENT.redis_url
