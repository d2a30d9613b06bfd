"""How often somebody may try a password: counted in the database, which every sign-in needs anyway.

An attempt is counted before the password is looked at, so that a hundred at once are not a hundred guesses. A good one
is given back.
"""

import hashlib
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from math import ceil

from django.db import transaction
from django.utils import timezone
from rest_framework.exceptions import APIException

from accounts.models import SignInAttempts
from api.addresses import site_of
from database.retrying import retry_when_busy

# Failures until the first pause: of one name from one address, of one address, of one name from everywhere.
OF_PAIR, OF_ADDRESS, OF_NAME = 5, 30, 100
# Each further failure doubles the pause.
FIRST_PAUSE, LONGEST_PAUSE = timedelta(seconds=30), timedelta(minutes=15)
FORGOTTEN_AFTER = timedelta(hours=1)


class TooManyAttempts(APIException):
    """429: wait before you try again."""

    status_code = 429

    def __init__(self, wait_s: int) -> None:
        super().__init__(f"Too many attempts to sign in; try again in {wait_s} s")
        self.wait = wait_s


@retry_when_busy
def attempt_begin(name: str, address: str) -> None:
    """Counts it as a failure. Raises `TooManyAttempts` while there is a pause, which counts for nothing."""
    now = timezone.now()
    with counters(name, address) as counted:
        pause = max((row.paused_until - now for row, _ in counted if row.paused_until), default=timedelta())
        if pause > timedelta():
            raise TooManyAttempts(ceil(pause.total_seconds()))
        for row, limit in counted:
            failures = 0 if now - row.seen_at > FORGOTTEN_AFTER else row.failures
            count(row, failures + 1, limit, now)


@retry_when_busy
def attempt_succeeded(name: str, address: str) -> None:
    """It was none: the pair begins anew; address and name get it back, or one's own account would buy more guesses."""
    now = timezone.now()
    with counters(name, address) as counted:
        for row, limit in counted:
            count(row, 0 if limit == OF_PAIR else max(row.failures - 1, 0), limit, now)


@contextmanager
def counters(name: str, address: str) -> Iterator[list[tuple[SignInAttempts, int]]]:
    """The rows of this attempt, each with its limit, locked: in one order, so that nobody waits crosswise."""
    name = unicodedata.normalize("NFKC", name).casefold()
    limits = {
        digest_of("pair", name, site_of(address)): OF_PAIR,
        digest_of("address", site_of(address)): OF_ADDRESS,
        digest_of("name", name): OF_NAME,
    }
    with transaction.atomic():
        rows = SignInAttempts.objects.select_for_update()
        yield [(rows.get_or_create(key=key)[0], limits[key]) for key in sorted(limits)]


def count(row: SignInAttempts, failures: int, limit: int, now: datetime) -> None:
    row.failures, row.seen_at = failures, now
    row.paused_until = now + pause_after(failures - limit) if failures >= limit else None
    row.save()


def pause_after(further: int) -> timedelta:
    """The pause after the first failure that is too many, and ``further`` ones."""
    return min(FIRST_PAUSE * 2 ** min(further, 10), LONGEST_PAUSE)


def attempts_forget() -> int:
    """Remove the counts that mean nothing any more; how many these were."""
    return SignInAttempts.objects.filter(seen_at__lt=timezone.now() - FORGOTTEN_AFTER).delete()[0]


def digest_of(*parts: str) -> str:
    # What is typed as a name is at times a password: it is not kept.
    return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogatepass")).hexdigest()
