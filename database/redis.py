"""Redis, asked in the cheapest way: one command on the thread's own connection."""

import threading
from contextlib import suppress
from typing import Any

import redis

# A connection that has died since it was last used is found out by using it: try another one, once. Not after a
# timeout, whose cost would double.
CONNECTION_LOST = (redis.ConnectionError, ConnectionError)
FAILURES = (redis.RedisError, OSError)


class OwnConnections:
    """A connection for each thread, which takes two thirds of the time that a client's pool and hooks take."""

    # Any: the annotations of redis-py describe its synchronous and its asynchronous client in one.
    def __init__(self, client: Any) -> None:
        self.pool = client.connection_pool
        self.thread = threading.local()

    def ask(self, *command: str | int) -> Any:
        """The answer to one command. Raises `redis.RedisError` and `OSError` as they come."""
        try:
            return self.ask_once(*command)
        except CONNECTION_LOST:
            # Not tenacity's business: that would take as long as the command itself, every time.
            return self.ask_once(*command)

    def ask_once(self, *command: str | int) -> Any:
        connection = getattr(self.thread, "connection", None)
        if connection is None:
            # Not one of the pool's, which would keep it for ever when the thread has ended.
            connection = self.thread.connection = self.pool.connection_class(**self.pool.connection_kwargs)
        try:
            connection.send_command(*command)
            return connection.read_response()
        except redis.ResponseError:
            raise
        except BaseException:
            # An answer that comes after all must not be taken for that of the next command.
            with suppress(Exception):
                connection.disconnect()
            raise


def place_of(client: Any) -> str:
    """Which server it is, without its password."""
    place = client.connection_pool.connection_kwargs
    return f"Redis {place.get('path') or '{}:{}'.format(place.get('host'), place.get('port'))}"
