"""What Celery tasks do while there is no usable database."""

from collections.abc import Iterator
from contextlib import contextmanager

import structlog
from django.db import Error

from database.errors import classify

logger = structlog.get_logger(__name__)


@contextmanager
def left_for_later(*also: type[Error]) -> Iterator[None]:
    """A database that cannot be used now ends the task with a line instead of a traceback; beat asks again.

    The same with errors of the classes ``also``.
    """
    try:
        yield
    except Error as error:
        if not isinstance(error, also) and classify(error) not in ("gone", "busy", "schema"):
            raise
        logger.error("task left for later: the database cannot be used", error=str(error))
