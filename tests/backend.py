"""Which database this run of the tests uses, for what is true of one kind alone."""

import pytest
from django.conf import settings

IS_SQLITE = "sqlite" in settings.DATABASES["default"]["ENGINE"]


def server_only(reason: str) -> pytest.MarkDecorator:
    """For tests of what only a database server has, or of a private one, which the run on SQLite need not start too."""
    return pytest.mark.skipif(IS_SQLITE, reason=reason)


def sqlite_only(reason: str) -> pytest.MarkDecorator:
    """For tests of what only an embedded service has, or that use no database of the run: one run of them is enough."""
    return pytest.mark.skipif(not IS_SQLITE, reason=reason)
