"""Django's settings. What the environment decides is read in `environment`; all else is fixed here."""

import os
from datetime import timedelta
from pathlib import Path

import environ
from corsheaders.defaults import default_headers
from django.urls import reverse_lazy
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
READ_ACCESS = ENVIRONMENT.read_access
REGISTRATION = ENVIRONMENT.registration
CORS_ORIGINS = ENVIRONMENT.cors_origins
RATE_LIMIT_PER_MINUTE = ENVIRONMENT.rate_limit_per_minute
RATE_LIMIT_BURST = ENVIRONMENT.rate_limit_burst
TRUSTED_PROXIES = ENVIRONMENT.trusted_proxies
COLLECTOR_SILENCE_SECONDS = ENVIRONMENT.collector_silence_seconds
SPOOL_MAX_MB = ENVIRONMENT.spool_max_mb
SLOW_QUERY_MS = ENVIRONMENT.slow_query_ms
UPLOAD_MAX_MB = ENVIRONMENT.upload_max_mb
BINANCE_WS_BASE_URL = ENVIRONMENT.binance_ws_base_url
BINANCE_API_BASE_URL = ENVIRONMENT.binance_api_base_url
LIQUIDATION_API_BASE_URL = ENVIRONMENT.liquidation_api_base_url
WS_MAX_PER_CLIENT = ENVIRONMENT.ws_max_per_client
WS_MESSAGES_PER_SECOND = ENVIRONMENT.ws_messages_per_second
WS_MAX_QUEUED = ENVIRONMENT.ws_max_queued
WS_HEARTBEAT_INTERVAL = ENVIRONMENT.ws_heartbeat_interval
MAX_ORDERBOOK_LIMIT = ENVIRONMENT.max_orderbook_limit
UDF_MARKS_MIN_USD = ENVIRONMENT.udf_marks_min_usd

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

# Pages of these origins may use the API with credentials that they have themselves: cookies are never allowed along.
CORS_ALLOW_ALL_ORIGINS = "*" in CORS_ORIGINS
CORS_ALLOWED_ORIGINS = [origin for origin in CORS_ORIGINS if origin != "*"]
CORS_ALLOW_METHODS = ["GET", "POST"]
CORS_ALLOW_HEADERS = [*default_headers, "if-none-match", "x-api-key", "x-request-id"]
CORS_EXPOSE_HEADERS = [
    *("age", "etag", "x-cache", "x-request-id"),
    *("retry-after", "x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset"),
]

INSTALLED_APPS = [
    "unfold.apps.BasicAppConfig",  # the default one puts its own site in the place of ours
    "unfold.contrib.filters",
    "console.apps.ConsoleAdminConfig",
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
    "rest_framework_simplejwt.token_blacklist",
    "django_celery_beat",
    "accounts",
    "cachemgmt",
    "marketdata",
    "liquidations",
    "streams",
    "console",
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
    "liqui.content_security.ContentSecurityMiddleware",
    # Operators sign in; these look at a session or a user when a view asks for one, which no data view does.
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    # Where a refusal is logged and may be read by pages of other origins, and before anything else is done.
    "liqui.limits.RateLimitMiddleware",
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
        # Before all apps': unfold's pages with what ours need added to them.
        "DIRS": [BASE_DIR / "console" / "overrides"],
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
AUTHENTICATION_BACKENDS = ["accounts.backends.LimitedBackend"]
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

# One member a web process (streams.hub), so that a message may wait while a whole burst is handed on;
# in memory a membership would end after a day.
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
    else {"BACKEND": "channels.layers.InMemoryChannelLayer", "CONFIG": {"capacity": 10_000, "group_expiry": 10**9}}
}

CELERY_BROKER_URL = ENVIRONMENT.broker_url
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = True
# Tasks are few and long: one that waits behind another could be running elsewhere.
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_WORKER_REDIRECT_STDOUTS = False
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BEAT_SCHEDULER = "liqui.beat:Scheduler"
if CELERY_BROKER_URL.startswith("filesystem:"):
    # Files that a second shell's `celery -A liqui call` can write too; memory:// would be private to one process.
    CELERY_QUEUE_DIR = LIQUI_HOME / "celery" / "queue"
    CELERY_BROKER_TRANSPORT_OPTIONS = {
        "data_folder_in": str(CELERY_QUEUE_DIR),
        "data_folder_out": str(CELERY_QUEUE_DIR),
        "control_folder": str(LIQUI_HOME / "celery" / "control"),
        "polling_interval": 0.5,
    }

CSRF_FAILURE_VIEW = "console.errors.forged"

LANGUAGE_CODE = "en-us"
TIME_ZONE = "UTC"
USE_TZ = True
USE_I18N = False
# The settings of the same names count for languages alone that Django does not know.
FORMAT_MODULE_PATH = ["console.formats"]

STATIC_URL = "static/"
# Served from the packages themselves: nothing to collect, nothing to forget.
WHITENOISE_USE_FINDERS = True

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["accounts.authentication.Credentials"],
    # A view that does not say whom it is for is for nobody else.
    "DEFAULT_PERMISSION_CLASSES": ["accounts.permissions.Administers"],
    "UNAUTHENTICATED_USER": None,
    "DEFAULT_RENDERER_CLASSES": ["api.rendering.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
    "DEFAULT_CONTENT_NEGOTIATION_CLASS": "api.rendering.OneTypeNegotiation",
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "liqui.errors.exception_handler",
    "URL_FORMAT_OVERRIDE": None,
}

SIMPLE_JWT = {
    "SIGNING_KEY": ENVIRONMENT.jwt_secret,
    "ALGORITHM": ENVIRONMENT.jwt_algorithm,
    "ACCESS_TOKEN_LIFETIME": timedelta(minutes=ENVIRONMENT.jwt_expiration_minutes),
    "REFRESH_TOKEN_LIFETIME": timedelta(days=7),
    "USER_ID_CLAIM": "sub",
    "TOKEN_TYPE_CLAIM": "type",
}

SPECTACULAR_SETTINGS = {
    "TITLE": "liqui",
    "DESCRIPTION": "Crypto liquidations and market data from your own database.",
    "VERSION": __version__,
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_PUBLIC": True,
    "SERVE_AUTHENTICATION": [],
    "SERVE_PERMISSIONS": ["accounts.permissions.Public"],
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "REDOC_DIST": "SIDECAR",
}

LOGIN_REDIRECT_URL = "admin:index"
UNFOLD = {
    "SITE_TITLE": "liqui",
    "SITE_HEADER": "liqui",
    "SITE_SUBHEADER": "console.frame.mode",
    "SITE_SYMBOL": "water_drop",
    "SITE_FAVICONS": [{"rel": "icon", "type": "image/svg+xml", "href": "console.frame.favicon"}],
    "STYLES": ["console.frame.styles"],
    "SCRIPTS": ["console.frame.scripts"],
    "ENVIRONMENT_TITLE_PREFIX": "console.frame.title_prefix",
    "GLOBAL_CALLBACK": "console.frame.made_up",
    "LOGIN": {"form": "console.signing_in.SignInForm"},
    "ACCOUNT": {
        "navigation": [
            {"title": "Change password", "link": reverse_lazy("admin:password_change")},
            {"title": "API docs", "link": reverse_lazy("docs")},
        ]
    },
    # 600 carries white text, and is text on white; 500 is text on the dark ground.
    "COLORS": {
        "primary": {
            "50": "oklch(98.4% .019 200.9)",
            "100": "oklch(95.6% .045 203.4)",
            "200": "oklch(91.7% .08 205)",
            "300": "oklch(86.5% .115 207.1)",
            "400": "oklch(78.9% .134 211.5)",
            "500": "oklch(71.5% .123 215.2)",
            "600": "oklch(50% .1 223.1)",
            "700": "oklch(44% .085 224.3)",
            "800": "oklch(38% .07 227.4)",
            "900": "oklch(30.2% .056 229.7)",
            "950": "oklch(25% .048 230)",
        }
    },
    "SHOW_HISTORY": False,
    "SHOW_VIEW_ON_SITE": False,
    "SIDEBAR": {"show_search": False, "show_all_applications": False, "navigation": "console.registry.navigation"},
}

PROMETHEUS_EXPORT_MIGRATIONS = False

LOGGING = logging_configuration(ENVIRONMENT.log_level, ENVIRONMENT.log_format)
