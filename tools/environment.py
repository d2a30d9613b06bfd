"""The environment that tests and checks run in: ours alone, whatever the caller's shell or .env says."""

from collections.abc import Mapping

# Every name that liqui's settings read; those of a database or of Redis come in families.
FAMILIES = ("DB_", "REDIS_", "CACHE_", "CELERY_", "BINANCE_", "JWT_", "RATE_LIMIT_", "WS_")
NAMES = {
    "ALLOWED_HOSTS",
    "BARS_REREAD_SECONDS",
    "COLLECTOR_SILENCE_SECONDS",
    "CORS_ORIGINS",
    "DATABASE_URL",
    "DEBUG",
    "DJANGO_SETTINGS_MODULE",
    "FEED",
    "HOST",
    "HTTPS_ONLY",
    "LIQUIDATION_API_BASE_URL",
    "LIQUI_ENV_FILE",
    "LIQUI_HOME",
    "LIQUI_TOKEN",
    "LOG_FORMAT",
    "LOG_LEVEL",
    "LONG_QUERY_TIMEOUT_SECONDS",
    "MAX_CONNECTIONS",
    "MAX_ORDERBOOK_LIMIT",
    "MAX_STREAMS",
    "PORT",
    "PROMETHEUS_MULTIPROC_DIR",
    "QUERY_TIMEOUT_SECONDS",
    "READ_ACCESS",
    "REGISTRATION",
    "SECRET_KEY",
    "SLOW_QUERY_MS",
    "SPOOL_MAX_MB",
    "STREAM_TIMEOUT_SECONDS",
    "UDF_MARKS_MIN_USD",
    "UPLOAD_MAX_MB",
    "TRUSTED_PROXIES",
}


def clean_environment(variables: Mapping[str, str], home: str) -> dict[str, str]:
    """``variables`` without any setting of liqui's, reading no .env file, and with ``home`` as LIQUI_HOME.

    Tests and benchmarks ask more than a hundred times a minute: those of the rate limit itself switch it on.
    """
    kept = {name: value for name, value in variables.items() if name not in NAMES and not name.startswith(FAMILIES)}
    return kept | {"LIQUI_HOME": home, "LIQUI_ENV_FILE": "", "RATE_LIMIT_PER_MINUTE": "0"}
