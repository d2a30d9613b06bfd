"""API keys, and the log of who did what."""

from typing import Any

from django.conf import settings
from django.db import models
from django.utils import timezone


class ApiKey(models.Model):
    """A key of a program. Only its hash is kept: the key itself is shown once, when it is made.

    ``prefix`` is its beginning, by which it is found and by which people recognise it.
    """

    class Scope(models.TextChoices):
        READ = "read", "read: what READ_ACCESS=closed hides from others"
        OPERATE = "operate", "operate: also cache, bars and collector"

    name = models.CharField(max_length=64)
    prefix = models.CharField(max_length=16, unique=True)
    digest = models.CharField(max_length=64)
    scope = models.CharField(max_length=16, choices=Scope.choices, default=Scope.READ)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, null=True, blank=True, related_name="api_keys")
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        db_table = "api_keys"
        verbose_name = "API key"

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix}…)"

    @property
    def state(self) -> str:
        """good, revoked or expired."""
        if self.revoked_at is not None:
            return "revoked"
        return "expired" if self.expires_at is not None and self.expires_at <= timezone.now() else "good"


class SignInAttempts(models.Model):
    """How many sign-ins have failed lately; ``key`` is a digest of whose."""

    key = models.CharField(max_length=64, primary_key=True)
    failures = models.PositiveIntegerField(default=0)
    paused_until = models.DateTimeField(null=True)
    seen_at = models.DateTimeField(default=timezone.now, db_index=True)

    class Meta:
        db_table = "sign_in_attempts"

    def __str__(self) -> str:
        return f"{self.key[:8]}…: {self.failures}"


class WrittenOnce(Exception):
    """Audit entries are not changed and not removed."""


class AuditEntries(models.QuerySet["AuditEntry"]):
    def update(self, **kwargs: Any) -> int:
        raise WrittenOnce("Audit entries cannot be changed")

    def delete(self) -> tuple[int, dict[str, int]]:
        raise WrittenOnce("Audit entries cannot be removed")


class AuditEntry(models.Model):
    """What somebody did: written once, never changed, removed by nobody."""

    at = models.DateTimeField(auto_now_add=True, db_index=True)
    actor = models.CharField(max_length=150)
    kind = models.CharField(max_length=16)  # session, jwt, key, token, shell, system
    action = models.CharField(max_length=64)  # cache.clear
    target = models.CharField(max_length=255, blank=True)  # what was acted upon: a symbol, a pattern, a file's name
    amount = models.BigIntegerField(null=True)  # how much: keys, rows
    outcome = models.CharField(max_length=16)  # done, refused, failed
    address = models.CharField(max_length=64, blank=True)
    request_id = models.CharField(max_length=128, blank=True)
    details = models.JSONField(default=dict)

    objects = AuditEntries.as_manager()

    class Meta:
        db_table = "audit_log"
        # What the console filters by, each in the order in which it shows them.
        indexes = [
            models.Index(fields=["actor", "at"], name="audit_log_actor"),
            models.Index(fields=["action", "at"], name="audit_log_action"),
            models.Index(fields=["outcome", "at"], name="audit_log_outcome"),
            models.Index(fields=["target", "at"], name="audit_log_target"),
        ]
        verbose_name = "audit entry"
        verbose_name_plural = "audit log"

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d %H:%M:%S} {self.actor}: {self.action} {self.target}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        if not self._state.adding:
            raise WrittenOnce("Audit entries cannot be changed")
        super().save(*args, **kwargs)

    def delete(self, *args: Any, **kwargs: Any) -> tuple[int, dict[str, int]]:
        raise WrittenOnce("Audit entries cannot be removed")
