"""Finds the database server and the Redis that the tests use, and gives them a corner of their own there.

In this order: the servers that the environment names (and then only those); those answering on this machine's standard
ports that let us in; private ones, installed first where we may. Nothing outside the corner is read or written.
"""

import os
import random
import secrets
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from typing import Any, TypeVar
from urllib.parse import quote, unquote, urlsplit, urlunsplit

from tools.servers import PrivateMariaDB, PrivateRedis, PrivateServer

MYSQL_SOCKET = "/run/mysqld/mysqld.sock"
MYSQL_SCHEMES = ("mysql", "mysql2", "mysql-connector", "mysqlgis")
MYSQL_NAMES = ("DB_HOST", "DB_PORT", "DB_USER", "DB_PASSWORD", "DB_DATABASE", "DB_NAME")
REDIS_NAMES = ("REDIS_HOST", "REDIS_PORT", "REDIS_PASSWORD", "REDIS_DB")
# What a run makes: the database itself, what pytest-django makes of it, and what other feeds append.
DATABASES = ("{name}", "{name}_sample", "{name}_simulated", "test_{name}", "test_{name}_sample")
REDIS_CLAIM = "liqui-tests-{number}"

Server = TypeVar("Server", bound=PrivateServer)


class NoBackend(Exception):
    """The tests cannot have the server they need; the text says which and why."""


@dataclass(frozen=True)
class Login:
    """How to reach a MySQL or MariaDB server: over TCP, or through ``socket`` when that is set."""

    host: str = "127.0.0.1"
    port: int = 3306
    user: str = "root"
    password: str = ""
    socket: str = ""

    def url(self, database: str) -> str:
        secret = f":{quote(self.password, safe='')}" if self.password else ""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"mysql://{quote(self.user, safe='')}{secret}@{host}:{self.port}/{database}"

    def connect(self) -> Any:
        import MySQLdb

        where = {"unix_socket": self.socket} if self.socket else {"host": self.host, "port": self.port}
        return MySQLdb.connect(**where, user=self.user, password=self.password, connect_timeout=2, charset="utf8mb4")


@contextmanager
def mysql_backend(variables: Mapping[str, str]) -> Iterator[str]:
    """The URL of a database that does not exist yet elsewhere, made for this run and dropped after it."""
    named = named_mysql(variables)
    if named:
        with own_database(named, why="named by the environment") as url:
            yield url
        return
    local = local_mysql()
    if local:
        with own_database(local, why="found on this machine") as url:
            yield url
        return
    with private(PrivateMariaDB) as server, own_database(Login(port=server.port), why="private") as url:
        yield url


def named_mysql(variables: Mapping[str, str]) -> Login | None:
    """The server that DATABASE_URL or DB_* name, if they name one."""
    url = urlsplit(variables.get("DATABASE_URL", ""))
    if url.scheme in MYSQL_SCHEMES:
        return Login(
            host=url.hostname or "127.0.0.1",
            port=url.port or 3306,
            user=unquote(url.username or "root"),
            password=unquote(url.password or ""),
        )
    if url.scheme or not any(variables.get(name) for name in MYSQL_NAMES):
        return None
    return Login(
        host=variables.get("DB_HOST") or "127.0.0.1",
        port=int(variables.get("DB_PORT") or 3306),
        user=variables.get("DB_USER") or "root",
        password=variables.get("DB_PASSWORD") or "",
    )


def local_mysql() -> Login | None:
    """A server on the standard port or socket that lets root in without a password."""
    for login in (Login(), Login(socket=MYSQL_SOCKET)):
        if login.socket and not is_socket(login.socket):
            continue
        with suppress(Exception):
            login.connect().close()
            return login
    return None


def is_socket(path: str) -> bool:
    return os.path.exists(path) and stat.S_ISSOCK(os.stat(path).st_mode)


@contextmanager
def own_database(login: Login, why: str) -> Iterator[str]:
    """Make database ``liqui_<pid>``; yield its URL; drop it and what the tests made beside it."""
    name = f"liqui_{os.getpid()}"
    where = login.socket or f"{login.host}:{login.port}"
    try:
        version = execute(login, f"CREATE DATABASE {name} CHARACTER SET utf8mb4", "SELECT VERSION()")
        over_tcp = tcp_login(login, name)
    except Exception as error:
        raise NoBackend(f"The database server {where} ({why}) cannot be used as {login.user}: {error}") from error
    say(f"MySQL/MariaDB {version} at {where} ({why}), database {name}")
    try:
        yield over_tcp.url(name)
    finally:
        drops = [f"DROP DATABASE IF EXISTS {pattern.format(name=name)}" for pattern in DATABASES]
        drops += [f"DROP USER IF EXISTS '{name}'@'%'"] if over_tcp.user == name else []
        # A server that the tests took down has nothing left to tidy.
        with suppress(Exception):
            execute(login, *drops)


def tcp_login(login: Login, name: str) -> Login:
    """``login`` itself, or for one through the socket a user for this run, since our URLs speak of host and port."""
    if not login.socket:
        return login
    password = secrets.token_urlsafe(24)
    owned = [pattern.format(name=name) for pattern in DATABASES]
    port = execute(
        login,
        f"CREATE USER '{name}'@'%' IDENTIFIED BY '{password}'",
        *(f"GRANT ALL ON `{database.replace('_', chr(92) + '_')}`.* TO '{name}'@'%'" for database in owned),
        "SELECT @@port",
    )
    tcp = replace(login, socket="", port=int(port), user=name, password=password)
    try:
        tcp.connect().close()
    except Exception:
        execute(login, f"DROP USER '{name}'@'%'", f"DROP DATABASE {name}")
        raise
    return tcp


def execute(login: Login, *statements: str) -> Any:
    """Run ``statements`` and return the first value of the last, if it has one."""
    connection = login.connect()
    try:
        with connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)
            row = cursor.fetchone() if cursor.description else None
        connection.commit()
        return row[0] if row else None
    finally:
        connection.close()


@contextmanager
def redis_backend(variables: Mapping[str, str]) -> Iterator[str]:
    """The URL of a Redis database that held nothing, claimed for this run and emptied after it."""
    import redis

    named = named_redis(variables)
    url = named or "redis://127.0.0.1:6379/0"
    try:
        claim = RedisClaim(url)
    except (redis.RedisError, NoBackend) as error:
        if named:
            raise NoBackend(f"The Redis that the environment names cannot be used: {error}") from error
    else:
        with claim:
            say(f"Redis at {urlsplit(url).hostname} ({'named' if named else 'found'}), number {claim.number}")
            yield claim.url
        return
    with private(PrivateRedis) as server:
        say(f"Redis at {server.host}:{server.port} (private)")
        yield server.url()


def named_redis(variables: Mapping[str, str]) -> str:
    if url := variables.get("REDIS_URL"):
        return url
    if not any(variables.get(name) for name in REDIS_NAMES):
        return ""
    password = quote(variables.get("REDIS_PASSWORD", ""), safe="")
    host, port = variables.get("REDIS_HOST") or "127.0.0.1", variables.get("REDIS_PORT") or 6379
    return f"redis://{f':{password}@' if password else ''}{host}:{port}/{variables.get('REDIS_DB') or 0}"


class RedisClaim:
    """A database number (1 to 15) that is empty and that no other run of ours holds.

    The claim is the name of an open connection: it needs no key, and ends with us however we end.
    """

    def __init__(self, url: str) -> None:
        import redis

        self.holder = redis.Redis.from_url(url, socket_connect_timeout=2, single_connection_client=True)
        self.url, self.number = "", 0
        # At random, so that two runs which meet at one number, and both turn away, do not meet again at the next.
        for number in random.sample(range(1, 16), 15):
            self.url = urlunsplit(urlsplit(url)._replace(path=f"/{number}"))
            if self.claims(number):
                self.number = number
                return
        self.holder.close()
        raise NoBackend("none of its databases 1 to 15 is empty")

    def claims(self, number: int) -> bool:
        import redis

        name = REDIS_CLAIM.format(number=number)
        self.holder.client_setname(name)
        if sum(client["name"] == name for client in self.holder.client_list()) > 1:
            return False
        try:
            with redis.Redis.from_url(self.url) as client:
                return client.dbsize() == 0
        except redis.ResponseError:  # a server with fewer databases
            return False

    def __enter__(self) -> "RedisClaim":
        return self

    def __exit__(self, *_: object) -> None:
        import redis

        with suppress(redis.RedisError), redis.Redis.from_url(self.url) as client:
            client.flushdb()  # this number alone; it was empty when we came
        self.holder.close()


def private(kind: type[Server]) -> Server:
    """A private server that is not started yet; its program is installed first if it is missing."""
    kind.install()
    return kind()


def say(text: str) -> None:
    print(f"liqui: {text}", flush=True)
