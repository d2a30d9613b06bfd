"""API keys: made, used, revoked. A key is shown once; the database has its digest alone."""

import hashlib
import secrets
from datetime import datetime, timedelta

from django.contrib.auth.models import User
from django.db import Error as DatabaseError
from django.db.models import Q
from django.utils import timezone
from django.utils.crypto import constant_time_compare

from accounts.audit import record
from accounts.believed import forget
from accounts.callers import Caller
from accounts.models import ApiKey

KEY_BEGINS = "liqui_"
PREFIX_BYTES, SECRET_BYTES = 4, 32
PREFIX_CHARACTERS = len(KEY_BEGINS) + 2 * PREFIX_BYTES
# How exactly the last use is known: a write for each request would cost more than most requests.
USED_EVERY = timedelta(minutes=1)


class KeyRefused(Exception):
    """The key is not good; the text says why."""


def key_create(
    name: str, scope: str, owner: User | None, expires_at: datetime | None, actor: Caller
) -> tuple[ApiKey, str]:
    """The key's row and the key itself, ``liqui_<prefix>_<secret>``, which nobody can tell again."""
    prefix = f"{KEY_BEGINS}{secrets.token_hex(PREFIX_BYTES)}"
    text = f"{prefix}_{secrets.token_urlsafe(SECRET_BYTES)}"
    key = ApiKey.objects.create(
        name=name, scope=ApiKey.Scope(scope), owner=owner, expires_at=expires_at, prefix=prefix, digest=digest_of(text)
    )
    expires = expires_at.isoformat() if expires_at else None
    record(actor, "key.create", str(key), scope=key.scope, owner=owner and owner.get_username(), expires=expires)
    return key, text


def key_revoke(key: ApiKey, actor: Caller) -> None:
    """From now on it opens nothing. Harmless when repeated."""
    if ApiKey.objects.filter(pk=key.pk, revoked_at=None).update(revoked_at=timezone.now()):
        record(actor, "key.revoke", str(key))
    key.refresh_from_db(fields=["revoked_at"])
    forget()


def key_use(text: str) -> ApiKey:
    """The key's row, with its owner. Raises `KeyRefused`; only who knows the key is told what is wrong with it."""
    key = ApiKey.objects.select_related("owner").filter(prefix=text[:PREFIX_CHARACTERS]).first()
    if key is None or not constant_time_compare(key.digest, digest_of(text)):
        raise KeyRefused("Unknown API key")
    if key.revoked_at is not None:
        raise KeyRefused("API key is revoked")
    if key.expires_at is not None and key.expires_at <= timezone.now():
        raise KeyRefused("API key is expired")
    if key.owner is not None and not key.owner.is_active:
        raise KeyRefused("API key is of a user who is not active")
    return key


def key_used(key: ApiKey) -> None:
    """Notes the time. A database that cannot take it must not keep the key from being used."""
    now = timezone.now()
    if key.last_used_at is not None and now - key.last_used_at < USED_EVERY:
        return
    is_due = Q(last_used_at=None) | Q(last_used_at__lte=now - USED_EVERY)
    try:
        ApiKey.objects.filter(is_due, pk=key.pk).update(last_used_at=now)
    except DatabaseError:
        return


def digest_of(text: str) -> str:
    """A secret of 256 random bits needs no slow hash."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
