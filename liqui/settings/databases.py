"""Django's settings of the one database, from the environment: SQLite, MySQL or MariaDB."""

import re
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import environ

from liqui.settings.feeds import SIMULATED_FEEDS
from liqui.settings.reader import Reader, without_password

DATABASE_NAMES = ("DB_HOST", "DB_PORT", "DB_USER", "DB_PASSWORD", "DB_DATABASE", "DB_NAME")
TABLE_NAME = re.compile(r"[\w$]{1,64}", re.ASCII)


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


def database_suffix(feed: str) -> str:
    """What is appended to the name of the database: other feeds never share one with the user's own rows."""
    if feed in SIMULATED_FEEDS:
        return "_simulated"
    return "_sample" if feed == "sample" else ""


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
