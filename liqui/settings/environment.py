"""Reads liqui's configuration from the environment, in this one place (its neighbours read a part each).

Nothing is raised here: a wrong value or a wrong combination becomes a `Problem`, which `liqui.checks` reports as a
system check, so that every fault is named in one run and no process starts on a half-read configuration.
"""

import hashlib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from liqui.settings.databases import read_database, read_table_name, with_driver
from liqui.settings.feeds import read_feed
from liqui.settings.keys import JWT_ALGORITHMS, read_jwt_secret, read_secret_key, read_token
from liqui.settings.reader import Problem, Reader, without_password

LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
LOG_FORMATS = ("console", "json")
REDIS_NAMES = ("REDIS_HOST", "REDIS_PORT", "REDIS_PASSWORD", "REDIS_DB")
KEY_PREFIX = re.compile(r"[\w.:-]{1,64}", re.ASCII)
ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://[^/\s,*]+")
OPEN_OR_CLOSED = ("open", "closed")
MAX_RATE = 1_000_000
LOOPBACK = "127.0.0.0/8,::1"
BINANCE_STREAMS = "wss://fstream.binance.com"

Network = IPv4Network | IPv6Network


@dataclass(frozen=True)
class Environment:
    """Everything that the environment decides, read and checked; the fields are named as the variables."""

    home: Path
    metrics_dir: Path
    host: str
    port: int
    feed: str
    replay_path: str
    debug: bool
    secret_key: str
    https_only: bool
    allowed_hosts: list[str]
    log_level: str
    log_format: str
    database: dict[str, Any]
    liq_tablename: str
    redis_url: str
    broker_url: str
    cache_ttl_seconds: int
    cache_ttl_symbols: int
    cache_ttl_recent_seconds: int
    cache_ttl_historical_seconds: int
    cache_ttl_negative_seconds: int
    cache_stale_seconds: int
    cache_enabled: bool
    cache_key_prefix: str
    cache_memory_mb: int
    redis_timeout_ms: int
    liqui_token: str
    read_access: str
    registration: str
    jwt_secret: str
    jwt_algorithm: str
    jwt_expiration_minutes: int
    cors_origins: list[str]
    rate_limit_per_minute: int
    rate_limit_burst: int
    trusted_proxies: tuple[Network, ...]
    query_timeout_seconds: int
    long_query_timeout_seconds: int
    stream_timeout_seconds: int
    max_streams: int
    max_connections: int
    bars_reread_seconds: int
    collector_silence_seconds: int
    spool_max_mb: int
    slow_query_ms: int
    upload_max_mb: int
    binance_ws_base_url: str
    binance_api_base_url: str
    liquidation_api_base_url: str
    ws_max_per_client: int
    ws_messages_per_second: int
    ws_max_queued: int
    ws_heartbeat_interval: int
    max_orderbook_limit: int
    udf_marks_min_usd: int
    problems: list[Problem]

    @property
    def has_database_server(self) -> bool:
        return self.database["ENGINE"].endswith("mysql")

    @property
    def mode(self) -> str:
        return "server" if self.has_database_server else "embedded"

    @property
    def names_an_exchange(self) -> bool:
        """Whether streams come from somewhere that the user has chosen."""
        return self.binance_ws_base_url != BINANCE_STREAMS

    @property
    def database_place(self) -> str:
        """Where the database is, without secrets."""
        name = self.database["NAME"]
        if self.has_database_server:
            return f"MySQL {self.database['HOST']}:{self.database['PORT']}/{name}"
        return f"SQLite {name}"

    def describe(self) -> str:
        """The chosen mode in one line, without secrets; printed at start."""
        cache = f"Redis {without_password(self.redis_url)}" if self.redis_url else "local memory"
        feed = {"sample": "sample data", "replay": f"replay of {self.replay_path}"}.get(self.feed, f"feed {self.feed}")
        return f"{self.mode} · {self.database_place} · cache: {cache} · {feed}"


def environment_read(variables: Mapping[str, str], base_dir: Path) -> Environment:
    """Read and check the whole configuration. ``base_dir`` is where the default ``LIQUI_HOME`` (var/) lies."""
    reader = Reader(variables)
    home = Path(os.path.abspath(os.path.expanduser(reader.text("LIQUI_HOME", str(base_dir / "var")))))
    metrics_dir = Path(reader.text("PROMETHEUS_MULTIPROC_DIR", str(home / "metrics")))
    prepare_folders(reader, home, metrics_dir)
    feed, replay_path = read_feed(reader)
    database = with_driver(reader, read_database(reader, home, feed), home)
    is_embedded = "sqlite" in database["ENGINE"]
    redis_url = read_redis_url(reader)
    jwt_algorithm = reader.choice("JWT_ALGORITHM", "HS256", tuple(JWT_ALGORITHMS))
    rate = reader.integer("RATE_LIMIT_PER_MINUTE", 0 if "sqlite" in database["ENGINE"] else 100, 0, MAX_RATE)
    return Environment(
        home=home,
        metrics_dir=metrics_dir,
        host=reader.text("HOST", "127.0.0.1"),
        port=reader.integer("PORT", 8000, 1, 65535),
        feed=feed,
        replay_path=replay_path,
        debug=reader.boolean("DEBUG", False),
        secret_key=read_secret_key(reader, home, embedded=is_embedded),
        https_only=reader.boolean("HTTPS_ONLY", False),
        allowed_hosts=[host.strip() for host in reader.text("ALLOWED_HOSTS", "*").split(",") if host.strip()],
        log_level=reader.choice("LOG_LEVEL", "INFO", LOG_LEVELS),
        log_format=reader.choice("LOG_FORMAT", "console", LOG_FORMATS),
        database=database,
        liq_tablename=read_table_name(reader),
        redis_url=redis_url,
        broker_url=reader.text("CELERY_BROKER_URL", redis_url or "filesystem://localhost"),
        cache_ttl_seconds=reader.integer("CACHE_TTL_SECONDS", 300, 0, 604_800),
        cache_ttl_symbols=reader.integer("CACHE_TTL_SYMBOLS", 3600, 0, 604_800),
        cache_ttl_recent_seconds=reader.integer("CACHE_TTL_RECENT_SECONDS", 5, 0, 3600),
        cache_ttl_historical_seconds=reader.integer("CACHE_TTL_HISTORICAL_SECONDS", 86_400, 0, 604_800),
        cache_ttl_negative_seconds=reader.integer("CACHE_TTL_NEGATIVE_SECONDS", 10, 0, 3600),
        cache_stale_seconds=reader.integer("CACHE_STALE_SECONDS", 3600, 0, 604_800),
        cache_enabled=reader.boolean("CACHE_ENABLED", True),
        cache_key_prefix=read_key_prefix(reader, database),
        cache_memory_mb=reader.integer("CACHE_MEMORY_MB", 64, 1, 65_536),
        redis_timeout_ms=reader.integer("REDIS_TIMEOUT_MS", 250, 10, 60_000),
        liqui_token=read_token(reader),
        read_access=reader.choice("READ_ACCESS", "open", OPEN_OR_CLOSED),
        registration=reader.choice("REGISTRATION", "open" if is_embedded else "closed", OPEN_OR_CLOSED),
        jwt_secret=read_jwt_secret(reader, home, JWT_ALGORITHMS[jwt_algorithm], embedded=is_embedded),
        jwt_algorithm=jwt_algorithm,
        jwt_expiration_minutes=reader.integer("JWT_EXPIRATION_MINUTES", 60, 1, 10_080),
        cors_origins=read_origins(reader),
        rate_limit_per_minute=rate,
        rate_limit_burst=reader.integer("RATE_LIMIT_BURST", rate or 1, 1, MAX_RATE),
        trusted_proxies=read_trusted_proxies(reader),
        query_timeout_seconds=reader.integer("QUERY_TIMEOUT_SECONDS", 30, 1, 86_400),
        long_query_timeout_seconds=reader.integer("LONG_QUERY_TIMEOUT_SECONDS", 120, 1, 86_400),
        stream_timeout_seconds=reader.integer("STREAM_TIMEOUT_SECONDS", 3600, 1, 86_400),
        max_streams=reader.integer("MAX_STREAMS", 8, 1, 1000),
        max_connections=reader.integer("MAX_CONNECTIONS", 20, 2, 10_000),
        bars_reread_seconds=reader.integer("BARS_REREAD_SECONDS", 3600, 300, 604_800),
        collector_silence_seconds=reader.integer("COLLECTOR_SILENCE_SECONDS", 300, 10, 86_400),
        spool_max_mb=reader.integer("SPOOL_MAX_MB", 512, 1, 1_048_576),
        slow_query_ms=reader.integer("SLOW_QUERY_MS", 500, 1, 86_400_000),
        upload_max_mb=reader.integer("UPLOAD_MAX_MB", 200, 1, 1_048_576),
        binance_ws_base_url=reader.base_url("BINANCE_WS_BASE_URL", BINANCE_STREAMS, ("wss", "ws")),
        binance_api_base_url=reader.base_url("BINANCE_API_BASE_URL", "https://fapi.binance.com", ("https", "http")),
        liquidation_api_base_url=read_liquidation_api(reader),
        ws_max_per_client=reader.integer("WS_MAX_PER_CLIENT", 200, 1, 1_000_000),
        ws_messages_per_second=reader.integer("WS_MESSAGES_PER_SECOND", 20, 1, 100_000),
        ws_max_queued=reader.integer("WS_MAX_QUEUED", 1000, 1, 1_000_000),
        ws_heartbeat_interval=reader.integer("WS_HEARTBEAT_INTERVAL", 30, 1, 3600),
        max_orderbook_limit=reader.integer("MAX_ORDERBOOK_LIMIT", 5000, 5, 5000),
        udf_marks_min_usd=reader.integer("UDF_MARKS_MIN_USD", 100_000, 0, 1_000_000_000),
        problems=reader.problems,
    )


def read_liquidation_api(reader: Reader) -> str:
    """``LIQUIDATION_API_BASE_URL``, which ends in /api; empty: there is no other source of history."""
    if not reader.has("LIQUIDATION_API_BASE_URL"):
        return ""
    return reader.base_url("LIQUIDATION_API_BASE_URL", "", ("https", "http"))


def prepare_folders(reader: Reader, home: Path, metrics_dir: Path) -> None:
    """Make the folders that every process writes to; ``home`` holds files of one's own in both modes."""
    for folder in (home, home / "celery" / "queue", metrics_dir):
        try:
            folder.mkdir(parents=True, exist_ok=True)
            reason = "" if os.access(folder, os.W_OK | os.X_OK) else "Permission denied"
        except (OSError, ValueError) as error:  # ValueError: a NUL in the name
            reason = getattr(error, "strerror", None) or str(error)
        if reason:
            message = f"LIQUI_HOME={str(home)!r} cannot be used: {folder}: {reason}."
            reader.report("liqui.E006", message, "Choose another folder.")
            return


def read_key_prefix(reader: Reader, database: dict[str, Any]) -> str:
    """What every key in Redis begins with: by default another one for each database, whoever shares the server."""
    place = [database.get("HOST", ""), database.get("PORT", ""), database["NAME"], reader.text("DB_LIQ_TABLENAME")]
    default = f"liqui:{hashlib.sha256(repr(place).encode()).hexdigest()[:8]}"
    prefix = reader.text("CACHE_KEY_PREFIX", default)
    if not KEY_PREFIX.fullmatch(prefix):
        reader.report("liqui.E001", f"CACHE_KEY_PREFIX={prefix!r} is not made of letters, digits, _, -, . and :.")
        return default
    return prefix


def read_origins(reader: Reader) -> list[str]:
    """``CORS_ORIGINS``: scheme://host[:port] with commas between, or ``*``."""
    origins = [origin.strip() for origin in reader.text("CORS_ORIGINS").split(",") if origin.strip()]
    for origin in origins:
        if origin != "*" and not ORIGIN.fullmatch(origin):
            reader.report("liqui.E001", f"CORS_ORIGINS: {origin!r} is not scheme://host[:port] or *.")
            return []
    return origins


def read_trusted_proxies(reader: Reader) -> tuple[Network, ...]:
    """``TRUSTED_PROXIES``: networks or addresses with commas between, or ``none``."""
    texts = [text.strip() for text in reader.text("TRUSTED_PROXIES", LOOPBACK).split(",") if text.strip()]
    if texts == ["none"]:
        return ()
    networks = []
    for text in texts:
        try:
            networks.append(ip_network(text, strict=False))
        except ValueError:
            reader.report("liqui.E001", f"TRUSTED_PROXIES: {text!r} is neither an address, nor a network, nor none.")
    return tuple(networks)


def read_redis_url(reader: Reader) -> str:
    """``REDIS_URL`` wins; any REDIS_* alone means that server with the others' defaults; nothing means no Redis."""
    url = reader.text("REDIS_URL")
    if url:
        if not is_redis_url(url):
            reader.report("liqui.E001", f"REDIS_URL={without_password(url)!r} is not redis://[:password@]host:port/db.")
            return ""
        return url
    if not reader.has(*REDIS_NAMES):
        return ""
    host, password = reader.text("REDIS_HOST", "localhost"), reader.text("REDIS_PASSWORD")
    port, number = reader.integer("REDIS_PORT", 6379, 1, 65535), reader.integer("REDIS_DB", 0, 0, 65535)
    return f"redis://{':' + quote(password, safe='') + '@' if password else ''}{host}:{port}/{number}"


def is_redis_url(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in ("redis", "rediss", "unix") and (parts.port is None or parts.port > 0)
    except ValueError:
        return False
