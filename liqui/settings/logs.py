"""Logging through structlog: readable lines for a person, JSON for a collector; one shape for every library."""

import logging
import re
from typing import Any

import structlog

SHARED_PROCESSORS: list[Any] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
]


class HasTraceback(logging.Filter):
    """Lets pass what tells of an unforeseen exception."""

    def filter(self, record: logging.LogRecord) -> bool:
        return bool(record.exc_info)


class TokensHidden(logging.Filter):
    """Hides a socket's key in the URL that a web server logs."""

    TOKEN = re.compile(r"""(?<=[?&]token=)[^&\s"']+""")

    def filter(self, record: logging.LogRecord) -> bool:
        # Ours are no text yet, and never hold a query.
        if isinstance(record.msg, str) and "token=" in (message := record.getMessage()):
            record.msg, record.args = self.TOKEN.sub("***", message), None
        return True


def logging_configuration(level: str, log_format: str) -> dict[str, Any]:
    """Django's LOGGING for ``level`` (DEBUG…CRITICAL) and ``log_format`` ("console" or "json"), to standard error."""
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *SHARED_PROCESSORS,
            structlog.stdlib.PositionalArgumentsFormatter(),
            structlog.processors.StackInfoRenderer(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    last = (
        [structlog.processors.format_exc_info, structlog.processors.JSONRenderer(ensure_ascii=False)]
        if log_format == "json"
        else [
            # The default one prints local variables too, and passwords are among them.
            structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback)
        ]
    )
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "structlog": {
                "()": structlog.stdlib.ProcessorFormatter,
                "foreign_pre_chain": SHARED_PROCESSORS,
                "processors": [structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last],
            }
        },
        "filters": {"traceback": {"()": HasTraceback}, "tokens": {"()": TokensHidden}},
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "structlog", "filters": ["tokens"]}},
        "root": {"handlers": ["stderr"], "level": level},
        "loggers": {
            # Celery says every received task and every beat at INFO, the file watcher every file.
            "celery": {"level": "WARNING"},
            "kombu": {"level": "WARNING"},
            # Every answer is logged once, by liqui.request_log; Django would say each 4xx and 503 again.
            "django.request": {"level": "ERROR", "filters": ["traceback"]},
            "django.server": {"level": "WARNING"},
            "uvicorn": {"level": "WARNING"},
            # It would say every request to the venue.
            "httpx": {"level": "WARNING"},
        },
    }
