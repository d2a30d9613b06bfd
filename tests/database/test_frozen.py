"""A server that has frozen keeps no thread for ever, and no other connection is cut in place of the one to it."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import DEFAULT_DB_ALIAS, Error, close_old_connections, connections

from database.watchdog import GRACE_S, watchdog, watching
from tests.backend import server_only
from tools.servers import PrivateMariaDB

# Django would wait for ever; the ping has one second, the server a grace, and the watchdog looks twice a second.
BOUND_S = 15

pytestmark = [server_only("about MySQL and MariaDB: SQLite has nothing like it"), pytest.mark.django_db]


@pytest.fixture
def in_thread() -> Callable[[Callable[[], object]], float]:
    """Runs a function in a thread of its own, which has connections of its own; how many seconds it took."""

    def run(job: Callable[[], object]) -> float:
        errors: list[BaseException] = []

        def guarded() -> None:
            try:
                job()
            except BaseException as error:
                errors.append(error)

        began = time.monotonic()
        thread = threading.Thread(target=guarded, daemon=True)
        thread.start()
        thread.join(BOUND_S)
        assert not thread.is_alive(), "it waits for ever"
        if errors:
            raise errors[0]
        return time.monotonic() - began

    return run


@pytest.fixture
def frozen_later(private_mariadb: PrivateMariaDB) -> Iterator[PrivateMariaDB]:
    yield private_mariadb
    private_mariadb.resume()


def connected(server: PrivateMariaDB) -> Any:
    """This thread's default connection, to ``server``."""
    default = connections[DEFAULT_DB_ALIAS]
    place = {"HOST": server.host, "PORT": server.port, "USER": "root", "PASSWORD": "", "NAME": ""}
    private = type(default)({**default.settings_dict, **place}, DEFAULT_DB_ALIAS)
    connections[DEFAULT_DB_ALIAS] = private
    private.cursor().execute("SELECT 1")
    return private


def test_after_an_error_the_end_of_a_request_does_not_wait_for_a_frozen_server(
    frozen_later: PrivateMariaDB, in_thread: Callable[[Callable[[], object]], float]
) -> None:
    def end_of_request() -> None:
        connection = connected(frozen_later)
        frozen_later.pause()
        connection.errors_occurred = True
        close_old_connections()
        assert connection.connection is None

    assert in_thread(end_of_request) > 0.5


def test_a_connection_to_a_server_that_is_well_is_kept(
    private_mariadb: PrivateMariaDB, in_thread: Callable[[Callable[[], object]], float]
) -> None:
    def end_of_request() -> None:
        connection = connected(private_mariadb)
        raw = connection.connection
        connection.errors_occurred = True
        close_old_connections()
        assert connection.connection is raw
        connection.close()

    in_thread(end_of_request)


def test_a_query_is_cut_when_the_server_freezes_in_it(
    frozen_later: PrivateMariaDB, in_thread: Callable[[Callable[[], object]], float]
) -> None:
    def query() -> None:
        connection = connected(frozen_later)
        frozen_later.pause()
        with pytest.raises(Error), watching(time.monotonic() + 0.5):
            connection.cursor().execute("SELECT 1")
        connection.close()

    assert in_thread(query) >= GRACE_S


def test_whoever_is_given_the_socket_number_of_a_closed_connection_is_not_cut(
    private_mariadb: PrivateMariaDB, in_thread: Callable[[Callable[[], object]], float]
) -> None:
    def reconnect() -> None:
        connection = connected(private_mariadb)
        first, number = connection.connection, connection.connection.fileno()
        connection.close()
        # Numbers are given anew from the lowest.
        others = [end for _ in range(5) for end in socket.socketpair()]
        assert number in [end.fileno() for end in others]
        watchdog.cut(first)
        for one, other in zip(others[::2], others[1::2], strict=True):
            one.send(b"1")
            assert other.recv(1) == b"1"
            one.close()
            other.close()
        connection.connect()
        watchdog.cut(connection.connection)
        with pytest.raises(Error):
            connection.cursor().execute("SELECT 1")
        connection.close()

    in_thread(reconnect)


def test_a_new_connection_is_known_before_its_first_question(
    private_mariadb: PrivateMariaDB,
    in_thread: Callable[[Callable[[], object]], float],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def connect() -> None:
        connection = connected(private_mariadb)
        connection.close()
        known: list[bool] = []
        setting_up = connection.init_connection_state

        def noticing() -> None:
            known.append(connection.connection in watchdog.sockets)
            setting_up()

        monkeypatch.setattr(connection, "init_connection_state", noticing)
        connection.connect()
        connection.close()
        assert known == [True]

    in_thread(connect)


def test_a_watch_ends_with_its_block(private_mariadb: PrivateMariaDB) -> None:
    with watching(time.monotonic() - 60):
        pass
    assert watchdog.watched == {}
