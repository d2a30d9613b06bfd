"""What processes tell each other when there is no Redis."""

from django.db import models


class CacheChange(models.Model):
    """Data have changed, or operators have removed answers: one row each, read by every process that keeps answers in
    its own memory. Its id is the generation that this process has seen. Kept for a short while only."""

    # Scope → minutes (or null for all); null: everything.
    changes = models.JSONField(null=True)
    pattern = models.TextField(null=True)

    class Meta:
        db_table = "cache_changes"

    def __str__(self) -> str:
        return self.pattern or str(self.changes)
