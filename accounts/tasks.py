"""Celery tasks of the accounts: thin, safe to run twice."""

from celery import shared_task

from accounts.attempts import attempts_forget
from accounts.tokens import expired_remove


@shared_task(name="accounts.remove_expired")
def remove_expired() -> None:
    """Remove tokens and counts of attempts that mean nothing any more."""
    expired_remove()
    attempts_forget()
