"""What can be wrong with a Redis, done to a private one and undone again."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from tools.servers import PrivateRedis, free_port

PASSWORD = "another"


def client(server: PrivateRedis, **options: Any) -> redis.Redis:
    return redis.Redis.from_url(server.url(), socket_timeout=10, **options)


def cache_client(url: str, timeout_s: float = 0.25) -> redis.Redis:
    """As the settings make it: it gives up soon, and never tries again by itself."""
    return redis.Redis.from_url(
        url, socket_timeout=timeout_s, socket_connect_timeout=timeout_s, retry=Retry(NoBackoff(), 0)
    )


@contextmanager
def killed(server: PrivateRedis) -> Iterator[None]:
    """Gone, and back with nothing in it."""
    server.kill()
    try:
        yield
    finally:
        server.start()


@contextmanager
def frozen(server: PrivateRedis) -> Iterator[None]:
    """Connections stay open, and nothing is answered."""
    server.pause()
    try:
        yield
    finally:
        server.resume()


@contextmanager
def client_pause(server: PrivateRedis) -> Iterator[None]:
    """Commands wait; the server says itself when it goes on, three seconds later."""
    client(server).client_pause(3000)
    try:
        yield
    finally:
        client(server).ping()


@contextmanager
def full(server: PrivateRedis) -> Iterator[None]:
    """Reads are answered, writes are refused."""
    client(server).config_set("maxmemory", 1)
    try:
        yield
    finally:
        client(server).config_set("maxmemory", 0)


@contextmanager
def read_only(server: PrivateRedis) -> Iterator[None]:
    """A replica of a server that is not there."""
    client(server).replicaof(server.host, free_port())
    try:
        yield
    finally:
        client(server).replicaof("NO", "ONE")


@contextmanager
def another_password(server: PrivateRedis) -> Iterator[None]:
    other = client(server)
    other.config_set("requirepass", PASSWORD)
    other.client_kill_filter(_type="normal", skipme=True)
    try:
        yield
    finally:
        client(server, password=PASSWORD).config_set("requirepass", "")


Trouble = Callable[[PrivateRedis], Any]
# With the words in which it is said.
TROUBLES: dict[str, tuple[Trouble, str]] = {
    "killed": (killed, "refuses connections: it is not running"),
    "frozen": (frozen, "does not answer in time"),
    "client pause": (client_pause, "does not answer in time"),
    "full": (full, "is full and refuses writes"),
    "read-only": (read_only, "is a read-only replica"),
    "another password": (another_password, "refuses our password"),
}
