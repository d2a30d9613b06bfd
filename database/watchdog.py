"""Cuts the connection to a server that has fallen silent: one that froze, or that a firewall no longer lets answer.

Time limits are the server's to enforce. One that says nothing at all would keep the thread, and its client, for ever;
a timeout on every read of every connection would end long imports and builds too.
"""

import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any
from weakref import WeakKeyDictionary

from django.db import DEFAULT_DB_ALIAS, connections

GRACE_S = 2  # how long after a time limit the server has to say that it has ended the statement
INTERVAL_S = 0.5


class Watchdog:
    """One thread for all connections of the process, started at first use, also after a fork."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.watched: dict[object, tuple[float, Any]] = {}
        self.sockets: WeakKeyDictionary[Any, int] = WeakKeyDictionary()
        self.process = 0

    @contextmanager
    def watching(self, deadline: float) -> Iterator[None]:
        """What this thread's connection does must end soon after ``deadline`` (monotonic seconds)."""
        # The object itself and not Django's proxy, which would be another connection in the watching thread.
        connection = connections[DEFAULT_DB_ALIAS]
        if connection.vendor != "mysql":
            yield
            return
        key = object()
        with self.lock:
            self.start()
            self.watched[key] = (deadline + GRACE_S, connection)
        try:
            yield
        finally:
            with self.lock:
                self.watched.pop(key, None)

    def start(self) -> None:
        if self.process != os.getpid():
            self.process = os.getpid()
            threading.Thread(target=self.run, name="database-watchdog", daemon=True).start()

    def run(self) -> None:
        while True:
            time.sleep(INTERVAL_S)
            now = time.monotonic()
            # Under the lock: a connection that is no longer watched may have given its number to another.
            with self.lock:
                for key in [key for key, (deadline, _) in self.watched.items() if deadline < now]:
                    self.cut(self.watched.pop(key)[1].connection)

    def cut(self, raw: Any) -> None:
        """Make the thread that waits for the server fail with error 2013 at once."""
        number = None if raw is None else self.sockets.get(raw)
        if number is not None:
            with suppress(OSError), socket.socket(fileno=os.dup(number)) as other_end:
                other_end.shutdown(socket.SHUT_RDWR)

    def note(self, raw: Any) -> None:
        """``raw``, the driver's connection, has just been opened: later it answers no other thread than its own."""
        with self.lock:
            self.sockets[raw] = raw.fileno()

    def forget(self, raw: Any) -> None:
        """``raw`` is about to be closed, and its socket's number to be given to another."""
        with self.lock:
            self.sockets.pop(raw, None)


watchdog = Watchdog()
watching = watchdog.watching
