"""Reads liqui's configuration from the environment, in this one place.

Nothing is raised here: a wrong value or a wrong combination becomes a `Problem`, which `liqui.checks` reports as a
system check, so that every fault is named in one run and no process starts on a half-read configuration.
"""

import hashlib
import os
import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit, urlunsplit

import environ

FEEDS = ("none", "sample", "live", "simulated", "replay:FILE", "auto")
# Data that a simulator plays: they never share a database with what is real.
SIMULATED_FEEDS = ("simulated", "replay")
COLLECTED_FEEDS = ("live", *SIMULATED_FEEDS)
LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
LOG_FORMATS = ("console", "json")
DATABASE_NAMES = ("DB_HOST", "DB_PORT", "DB_USER", "DB_PASSWORD", "DB_DATABASE", "DB_NAME")
REDIS_NAMES = ("REDIS_HOST", "REDIS_PORT", "REDIS_PASSWORD", "REDIS_DB")
TABLE_NAME = re.compile(r"[\w$]{1,64}", re.ASCII)
KEY_PREFIX = re.compile(r"[\w.:-]{1,64}", re.ASCII)
ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://[^/\s,*]+")
MIN_TOKEN = 16
# Of the secret that signs with it, in characters: as long as the signature (RFC 7518).
JWT_ALGORITHMS = {"HS256": 32, "HS384": 48, "HS512": 64}
OPEN_OR_CLOSED = ("open", "closed")
MAX_RATE = 1_000_000
LOOPBACK = "127.0.0.0/8,::1"
BINANCE_STREAMS = "wss://fstream.binance.com"


Network = IPv4Network | IPv6Network


@dataclass(frozen=True, slots=True)
class Problem:
    """One fault of the configuration: a system check id, what is wrong, and what to do."""

    id: str
    message: str
    hint: str = ""


@dataclass
class Reader:
    """Typed access to an environment; collects `Problem`s and goes on with the default."""

    environ: Mapping[str, str]
    problems: list[Problem] = field(default_factory=list)

    def has(self, *names: str) -> list[str]:
        return [name for name in names if self.environ.get(name, "") != ""]

    def text(self, name: str, default: str = "") -> str:
        return self.environ.get(name, "") or default

    def integer(self, name: str, default: int, low: int, high: int) -> int:
        raw = self.text(name)
        try:
            value = int(raw) if raw else default
        except ValueError:
            value = None
        if value is None or not low <= value <= high:
            self.report("liqui.E001", f"{name}={raw!r} is not a whole number from {low} to {high}.")
            return default
        return value

    def boolean(self, name: str, default: bool) -> bool:
        raw = self.text(name).lower()
        if raw in environ.Env.BOOLEAN_TRUE_STRINGS:
            return True
        if raw in ("false", "off", "n", "no", "0"):
            return False
        if raw:
            self.report("liqui.E001", f"{name}={raw!r} is neither true nor false.")
        return default

    def choice(self, name: str, default: str, choices: Sequence[str]) -> str:
        value = self.text(name, default)
        if value not in choices:
            self.report("liqui.E001", f"{name}={value!r} is not one of: {', '.join(choices)}.")
            return default
        return value

    def base_url(self, name: str, default: str, schemes: Sequence[str]) -> str:
        """scheme://host[:port][/path] without a login; given without the slash at its end."""
        raw = self.text(name, default)
        url = raw.rstrip("/")
        if not is_base_url(url, schemes):
            self.report("liqui.E001", f"{name}={without_password(raw)!r} is not {' or '.join(schemes)}://host[:port].")
            return default
        return url

    def report(self, id: str, message: str, hint: str = "") -> None:
        self.problems.append(Problem(id, message, hint))


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
        problems=reader.problems,
    )


def read_feed(reader: Reader) -> tuple[str, str]:
    """``FEED``, and the file that it plays: auto, live, simulated, replay:FILE, sample or none."""
    feed, _, path = reader.text("FEED", "none").partition(":")
    # The file's name may hold any character, and only a replay has one.
    if (feed == "replay") != bool(path) or feed not in [each.partition(":")[0] for each in FEEDS]:
        reader.report("liqui.E001", f"FEED={reader.text('FEED')!r} is not one of: {', '.join(FEEDS)}.")
        return "none", ""
    if feed == "auto":
        # `manage.py serve` decides it before anything else, and starts itself again with what it has found.
        reader.report("liqui.E008", "FEED=auto is for `make run` alone.", "Set FEED=live, or none to collect nothing.")
    return feed, path


def database_suffix(feed: str) -> str:
    """What is appended to the name of the database: other feeds never share one with the user's own rows."""
    if feed in SIMULATED_FEEDS:
        return "_simulated"
    return "_sample" if feed == "sample" else ""


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


def with_driver(reader: Reader, database: dict[str, Any], home: Path) -> dict[str, Any]:
    """``database``, or SQLite's settings where its driver is missing: Django would raise before any check can run."""
    if not database["ENGINE"].endswith("mysql"):
        return database
    try:
        import MySQLdb  # noqa: F401
    except ImportError as error:
        reader.report(
            "liqui.E007",
            f"A database server is set, but mysqlclient, which speaks to it, cannot be loaded ({error}).",
            "Install it: .venv/bin/pip install -r requirements/mysql.txt "
            "(needs gcc, pkg-config, python3-dev and libmariadb-dev or default-libmysqlclient-dev).",
        )
        return sqlite(home / "liqui.sqlite3")
    return database


def read_database(reader: Reader, home: Path, feed: str) -> dict[str, Any]:
    """Django's settings of the one database: SQLite in ``home`` when nothing is set, else MySQL or MariaDB."""
    url, parts = reader.text("DATABASE_URL"), reader.has(*DATABASE_NAMES)
    if url and parts:
        reader.report("liqui.E004", f"DATABASE_URL and {', '.join(parts)} are both set.", "Keep one of the two.")
    if url:
        return database_from_url(reader, url, home, feed)
    if parts:
        return database_from_parts(reader, home, feed)
    return sqlite(home / f"{database_suffix(feed).removeprefix('_') or 'liqui'}.sqlite3")


def database_from_url(reader: Reader, url: str, home: Path, feed: str) -> dict[str, Any]:
    config, port = {"ENGINE": "", "NAME": ""}, 3306
    try:
        parts = urlsplit(url)
        # A host in SQLite's URL is a path with a slash too few.
        if parts.scheme == "mysql" or (parts.scheme == "sqlite" and not parts.netloc):
            config = environ.Env.db_url_config(url)
            port = int(config["PORT"] or 3306)
    except (ValueError, KeyError, environ.ImproperlyConfigured):
        config = {"ENGINE": "", "NAME": ""}
    engine = config["ENGINE"].rpartition(".")[2]
    # In memory each thread would have a database of its own.
    if engine == "sqlite3" and config["NAME"] not in ("", ":memory:"):
        path = Path(config["NAME"])
        return sqlite(path.with_name(f"{path.stem}{database_suffix(feed)}{path.suffix}"))
    if engine == "mysql" and config["NAME"]:
        return mysql(config["HOST"] or "127.0.0.1", port, config["USER"], config["PASSWORD"], config["NAME"], feed)
    reader.report(
        "liqui.E001",
        f"DATABASE_URL={without_password(url)!r} is not mysql://user:password@host:port/name or sqlite:///path.",
    )
    return sqlite(home / "liqui.sqlite3")


def database_from_parts(reader: Reader, home: Path, feed: str) -> dict[str, Any]:
    names = {reader.text(name) for name in reader.has("DB_DATABASE", "DB_NAME")}
    if len(names) > 1:
        reader.report(
            "liqui.E003", f"DB_DATABASE and DB_NAME disagree: {' and '.join(sorted(names))}.", "Keep one of the two."
        )
    missing = [name for name in ("DB_HOST", "DB_USER") if not reader.has(name)]
    # An empty password is a password; only its absence is a mistake.
    missing += ["DB_PASSWORD"] if "DB_PASSWORD" not in reader.environ else []
    missing += [] if names else ["DB_DATABASE"]
    port = reader.integer("DB_PORT", 3306, 1, 65535)
    if missing:
        reader.report(
            "liqui.E002",
            f"{', '.join(reader.has(*DATABASE_NAMES))} set, but {', '.join(missing)} missing.",
            "Set all of DB_HOST, DB_USER, DB_PASSWORD and DB_DATABASE for a database server, or none for SQLite.",
        )
        return sqlite(home / "liqui.sqlite3")
    return mysql(
        reader.text("DB_HOST"), port, reader.text("DB_USER"), reader.text("DB_PASSWORD"), sorted(names)[0], feed
    )


def sqlite(path: Path) -> dict[str, Any]:
    return {
        "ENGINE": "django_prometheus.db.backends.sqlite3",
        "NAME": str(path),
        "ATOMIC_REQUESTS": False,
        # Opening the file and setting it up costs more than most queries.
        "CONN_MAX_AGE": 300,
        # IMMEDIATE: a deferred transaction that has read cannot upgrade and fails at once with "database is locked".
        "OPTIONS": {
            "transaction_mode": "IMMEDIATE",
            "timeout": 20,
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA cache_size=-65536;",
        },
        # A file for the tests too: servers and exports open connections of their own.
        "TEST": {"NAME": str(path.with_name(f"test_{path.name}"))},
    }


def mysql(host: str, port: int, user: str, password: str, name: str, feed: str) -> dict[str, Any]:
    return {
        "ENGINE": "database.backends.mysql",
        "HOST": host,
        "PORT": port,
        "USER": user,
        "PASSWORD": password,
        "NAME": f"{name}{database_suffix(feed)}",
        "ATOMIC_REQUESTS": False,
        "CONN_MAX_AGE": 300,
        "CONN_HEALTH_CHECKS": True,
        "OPTIONS": {
            "charset": "utf8mb4",
            "connect_timeout": 2,
            "isolation_level": "read committed",
            "init_command": "SET SESSION sql_mode = CONCAT(@@SESSION.sql_mode, ',STRICT_ALL_TABLES')",
        },
        "TEST": {"CHARSET": "utf8mb4"},
    }


def read_table_name(reader: Reader) -> str:
    name = reader.text("DB_LIQ_TABLENAME", "binance_liqs")
    if not TABLE_NAME.fullmatch(name):
        reader.report("liqui.E001", f"DB_LIQ_TABLENAME={name!r} is not a table name (letters, digits, _ and $).")
        return "binance_liqs"
    return name


def read_key_prefix(reader: Reader, database: dict[str, Any]) -> str:
    """What every key in Redis begins with: by default another one for each database, whoever shares the server."""
    place = [database.get("HOST", ""), database.get("PORT", ""), database["NAME"], reader.text("DB_LIQ_TABLENAME")]
    default = f"liqui:{hashlib.sha256(repr(place).encode()).hexdigest()[:8]}"
    prefix = reader.text("CACHE_KEY_PREFIX", default)
    if not KEY_PREFIX.fullmatch(prefix):
        reader.report("liqui.E001", f"CACHE_KEY_PREFIX={prefix!r} is not made of letters, digits, _, -, . and :.")
        return default
    return prefix


def read_token(reader: Reader) -> str:
    token = reader.text("LIQUI_TOKEN")
    if token and len(token) < MIN_TOKEN:
        # Never the value: it would be in every log.
        reader.report(
            "liqui.E001",
            f"LIQUI_TOKEN has {len(token)} characters; fewer than {MIN_TOKEN} can be guessed.",
            "Make one: python -c 'import secrets; print(secrets.token_urlsafe(32))'",
        )
    return token


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


def is_base_url(url: str, schemes: Sequence[str]) -> bool:
    try:
        parts = urlsplit(url)
        has_port = parts.port is None or parts.port > 0
    except ValueError:
        return False
    is_plain = url.isascii() and url.isprintable() and not any(mark in url for mark in " @?#")
    return parts.scheme in schemes and bool(parts.hostname) and has_port and is_plain


def is_redis_url(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in ("redis", "rediss", "unix") and (parts.port is None or parts.port > 0)
    except ValueError:
        return False


def read_secret_key(reader: Reader, home: Path, *, embedded: bool) -> str:
    """``SECRET_KEY``, required on a server; when embedded made once and kept in ``home``."""
    key = reader.text("SECRET_KEY")
    if key or not embedded:
        if not key:
            reader.report(
                "liqui.E005",
                "SECRET_KEY is not set; it is required with a database server.",
                "Make one: python -c 'import secrets; print(secrets.token_urlsafe(50))'",
            )
        return key or "unset: liqui.E005 keeps every process from starting with this"
    return kept_secret(reader, home / "secret_key")


def read_jwt_secret(reader: Reader, home: Path, shortest: int, *, embedded: bool) -> str:
    """``JWT_SECRET``, which signs access tokens; required on a server; when embedded made once and kept in ``home``."""
    secret = reader.text("JWT_SECRET")
    if not secret and embedded:
        return kept_secret(reader, home / "jwt_secret")
    if len(secret) < shortest:
        # Never the value: it would be in every log.
        has = f"has {len(secret)} characters" if secret else "is not set; it is required with a database server"
        reader.report(
            "liqui.E009",
            f"JWT_SECRET {has}; {shortest} characters are needed at least.",
            "Make one: python -c 'import secrets; print(secrets.token_urlsafe(64))'",
        )
        return "unset: liqui.E009 keeps every process from starting with this"
    return secret


def kept_secret(reader: Reader, path: Path) -> str:
    """The secret in this file, which is made at the first time, for its owner's eyes only."""
    try:
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(secrets.token_urlsafe(64))
    except (OSError, ValueError):
        # It is there already, or `prepare_folders` has said why it cannot be.
        pass
    try:
        key = path.read_text("ascii").strip()
    except (OSError, ValueError) as error:
        key = ""
        if not reader.problems:
            reader.report("liqui.E006", f"{path} cannot be read: {error}.", "Delete it: a new one will be made.")
    return key or secrets.token_urlsafe(64)


def without_password(url: str) -> str:
    """The URL with its password replaced, fit for a log."""
    try:
        parts = urlsplit(url)
        secret = parts.password
    except ValueError:
        return "(unreadable)"
    if secret is None:
        return url
    return urlunsplit(parts._replace(netloc=parts.netloc.replace(f":{secret}@", ":***@")))
