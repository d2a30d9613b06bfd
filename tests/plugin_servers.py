"""Fixtures: a MariaDB and a Redis of the tests' own, to be stopped, killed and frozen at will.

Each is started once a session, at first use, and is up again at the start of every test that asks for it. What the
rest of the tests use is another server, named by DATABASE_URL and REDIS_URL.
"""

from collections.abc import Iterator

import pytest

from tools.servers import PrivateMariaDB, PrivateRedis


@pytest.fixture(scope="session")
def session_mariadb() -> Iterator[PrivateMariaDB]:
    with PrivateMariaDB() as server:
        yield server


@pytest.fixture
def private_mariadb(session_mariadb: PrivateMariaDB) -> PrivateMariaDB:
    session_mariadb.start()
    return session_mariadb


@pytest.fixture(scope="session")
def session_redis() -> Iterator[PrivateRedis]:
    with PrivateRedis() as server:
        yield server


@pytest.fixture
def private_redis(session_redis: PrivateRedis) -> PrivateRedis:
    session_redis.start()
    return session_redis
