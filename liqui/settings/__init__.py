"""Django's settings. What the environment decides is read in `environment`; all else is fixed here."""

import os
from pathlib import Path

import environ
from corsheaders.defaults import default_headers
from redis.backoff import NoBackoff
from redis.retry import Retry

from liqui import __version__
from liqui.settings.environment import environment_read
from liqui.settings.logs import logging_configuration

BASE_DIR = Path(__file__).resolve().parents[2]

# The real environment wins over the file; an empty LIQUI_ENV_FILE turns the file off.
if env_file := os.environ.get("LIQUI_ENV_FILE", str(BASE_DIR / ".env")):
    environ.Env.read_env(env_file) if Path(env_file).is_file() else None

ENVIRONMENT = environment_read(os.environ, BASE_DIR)

LIQUI_HOME = ENVIRONMENT.home
LIQUI_FEED = ENVIRONMENT.feed
DB_LIQ_TABLENAME = ENVIRONMENT.liq_tablename
QUERY_TIMEOUT_SECONDS = ENVIRONMENT.query_timeout_seconds
LONG_QUERY_TIMEOUT_SECONDS = ENVIRONMENT.long_query_timeout_seconds
STREAM_TIMEOUT_SECONDS = ENVIRONMENT.stream_timeout_seconds
MAX_STREAMS = ENVIRONMENT.max_streams
MAX_CONNECTIONS = ENVIRONMENT.max_connections
BARS_REREAD_SECONDS = ENVIRONMENT.bars_reread_seconds
CACHE_TTL_SECONDS = ENVIRONMENT.cache_ttl_seconds
CACHE_TTL_SYMBOLS = ENVIRONMENT.cache_ttl_symbols
CACHE_TTL_RECENT_SECONDS = ENVIRONMENT.cache_ttl_recent_seconds
CACHE_TTL_HISTORICAL_SECONDS = ENVIRONMENT.cache_ttl_historical_seconds
CACHE_TTL_NEGATIVE_SECONDS = ENVIRONMENT.cache_ttl_negative_seconds
CACHE_STALE_SECONDS = ENVIRONMENT.cache_stale_seconds
CACHE_ENABLED = ENVIRONMENT.cache_enabled
CACHE_KEY_PREFIX = ENVIRONMENT.cache_key_prefix
CACHE_MEMORY_MB = ENVIRONMENT.cache_memory_mb
LIQUI_TOKEN = ENVIRONMENT.liqui_token
CORS_ORIGINS = ENVIRONMENT.cors_origins
COLLECTOR_SILENCE_SECONDS = ENVIRONMENT.collector_silence_seconds
SPOOL_MAX_MB = ENVIRONMENT.spool_max_mb
BINANCE_WS_BASE_URL = ENVIRONMENT.binance_ws_base_url
BINANCE_API_BASE_URL = ENVIRONMENT.binance_api_base_url
LIQUIDATION_API_BASE_URL = ENVIRONMENT.liquidation_api_base_url
WS_MAX_PER_CLIENT = ENVIRONMENT.ws_max_per_client
WS_MESSAGES_PER_SECOND = ENVIRONMENT.ws_messages_per_second
WS_MAX_QUEUED = ENVIRONMENT.ws_max_queued
WS_HEARTBEAT_INTERVAL = ENVIRONMENT.ws_heartbeat_interval

# Every process writes its figures into one folder and any web worker answers with the sum of all: several web
# workers and Celery need no port of their own. prometheus_client reads the name when it is first imported.
METRICS_DIR = ENVIRONMENT.metrics_dir
if ENVIRONMENT.problems:
    # No process will run; without a folder the package must not look for one before the checks have been printed.
    os.environ.pop("PROMETHEUS_MULTIPROC_DIR", None)
else:
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(METRICS_DIR)

DEBUG = ENVIRONMENT.debug
SECRET_KEY = ENVIRONMENT.secret_key
ALLOWED_HOSTS = ENVIRONMENT.allowed_hosts
SECURE_SSL_REDIRECT = ENVIRONMENT.https_only
SECURE_HSTS_SECONDS = 31_536_000 if ENVIRONMENT.https_only else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = ENVIRONMENT.https_only
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if ENVIRONMENT.https_only else None

SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = ENVIRONMENT.https_only

# Pages of these origins may read; nothing here needs their cookies.
CORS_ALLOW_ALL_ORIGINS = "*" in CORS_ORIGINS
CORS_ALLOWED_ORIGINS = [origin for origin in CORS_ORIGINS if origin != "*"]
CORS_ALLOW_METHODS = ["GET"]
CORS_ALLOW_HEADERS = [*default_headers, "if-none-match", "x-request-id"]
CORS_EXPOSE_HEADERS = ["age", "etag", "x-cache", "x-request-id"]

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "corsheaders",
    "django_prometheus",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "cachemgmt",
    "marketdata",
    "liquidations",
    "streams",
    "liqui",
]

MIDDLEWARE = [
    "liqui.hits.HitMiddleware",
    "django_prometheus.middleware.PrometheusBeforeMiddleware",
    "liqui.request_log.RequestLogMiddleware",
    # Beside it, nothing is said of origins at all.
    *(["corsheaders.middleware.CorsMiddleware"] if CORS_ORIGINS else []),
    "django.middleware.security.SecurityMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    # Operators sign in; these look at a session or a user when a view asks for one, which no data view does.
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "liqui.compression.GZipMiddleware",
    "django_prometheus.middleware.PrometheusAfterMiddleware",
]

ROOT_URLCONF = "liqui.urls"
WSGI_APPLICATION = "liqui.wsgi.application"
ASGI_APPLICATION = "liqui.asgi.application"
# The contract's paths have no trailing slash and its clients follow no 301.
APPEND_SLASH = False

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]

DATABASES = {"default": ENVIRONMENT.database}
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in ("UserAttributeSimilarityValidator", "MinimumLengthValidator", "CommonPasswordValidator")
]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

CACHES = {
    "default": {
        "BACKEND": "django_prometheus.cache.backends.redis.RedisCache",
        "LOCATION": ENVIRONMENT.redis_url,
        "KEY_PREFIX": CACHE_KEY_PREFIX,
        "TIMEOUT": CACHE_TTL_SECONDS,
        "OPTIONS": {
            # One failure is one short wait: who tries again, and when, is the cache's breaker's to decide.
            "SOCKET_CONNECT_TIMEOUT": ENVIRONMENT.redis_timeout_ms / 1000,
            "SOCKET_TIMEOUT": ENVIRONMENT.redis_timeout_ms / 1000,
            # As many as there are threads; one too few would be taken for trouble with Redis.
            "CONNECTION_POOL_KWARGS": {"retry": Retry(NoBackoff(), 0), "max_connections": 10_000},
        },
    }
    if ENVIRONMENT.redis_url
    else {
        "BACKEND": "django_prometheus.cache.backends.locmem.LocMemCache",
        "LOCATION": "liqui",
        "TIMEOUT": CACHE_TTL_SECONDS,
    }
}

# One member a web process (streams.hub), so that a message may wait while a whole burst is handed on.
CHANNEL_LAYERS = {
    "default": {
        "BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer",
        "CONFIG": {
            "hosts": [
                {
                    "address": ENVIRONMENT.redis_url,
                    "socket_connect_timeout": ENVIRONMENT.redis_timeout_ms / 1000,
                    "socket_timeout": ENVIRONMENT.redis_timeout_ms / 1000,
                }
            ],
            "prefix": CACHE_KEY_PREFIX,
        },
    }
    if ENVIRONMENT.redis_url
    else {"BACKEND": "channels.layers.InMemoryChannelLayer", "CONFIG": {"capacity": 10_000}}
}

CELERY_BROKER_URL = ENVIRONMENT.broker_url
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = True
# Tasks are few and long: one that waits behind another could be running elsewhere.
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_WORKER_REDIRECT_STDOUTS = False
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BEAT_SCHEDULE_FILENAME = str(LIQUI_HOME / "celery" / "beat")
if CELERY_BROKER_URL.startswith("filesystem:"):
    # Files that a second shell's `celery -A liqui call` can write too; memory:// would be private to one process.
    CELERY_QUEUE_DIR = LIQUI_HOME / "celery" / "queue"
    CELERY_BROKER_TRANSPORT_OPTIONS = {
        "data_folder_in": str(CELERY_QUEUE_DIR),
        "data_folder_out": str(CELERY_QUEUE_DIR),
        "control_folder": str(LIQUI_HOME / "celery" / "control"),
        "polling_interval": 0.5,
    }

LANGUAGE_CODE = "en-us"
TIME_ZONE = "UTC"
USE_TZ = True
USE_I18N = False

STATIC_URL = "static/"
# Served from the packages themselves: nothing to collect, nothing to forget.
WHITENOISE_USE_FINDERS = True

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [],
    "DEFAULT_PERMISSION_CLASSES": [],
    "UNAUTHENTICATED_USER": None,
    "DEFAULT_RENDERER_CLASSES": ["api.rendering.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
    "DEFAULT_CONTENT_NEGOTIATION_CLASS": "api.rendering.OneTypeNegotiation",
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "liqui.errors.exception_handler",
    "URL_FORMAT_OVERRIDE": None,
}

SPECTACULAR_SETTINGS = {
    "TITLE": "liqui",
    "DESCRIPTION": "Crypto liquidations from your own database.",
    "VERSION": __version__,
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_PUBLIC": True,
    "SERVE_AUTHENTICATION": [],
    "SERVE_PERMISSIONS": [],
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "REDOC_DIST": "SIDECAR",
}

PROMETHEUS_EXPORT_MIGRATIONS = False

LOGGING = logging_configuration(ENVIRONMENT.log_level, ENVIRONMENT.log_format)
