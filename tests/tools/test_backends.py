"""Which servers the tests choose, and that they leave nothing behind there."""

import os
from collections.abc import Iterator
from typing import Any

import pytest
import redis

from tools import backends, packages
from tools.backends import Login, NoBackend, RedisClaim, mysql_backend, named_mysql, named_redis, redis_backend
from tools.environment import clean_environment
from tools.servers import PrivateMariaDB, PrivateRedis, ServerMissing


def databases(server: PrivateMariaDB) -> set[str]:
    return {row[0] for row in rows(server, "SHOW DATABASES")}


def rows(server: PrivateMariaDB, statement: str) -> Any:
    connection = Login(port=server.port).connect()
    with connection.cursor() as cursor:
        cursor.execute(statement)
        found = cursor.fetchall()
    connection.close()
    return found


def test_database_url_names_the_server() -> None:
    login = named_mysql({"DATABASE_URL": "mysql://me:p%40ss@db.example.org:3307/theirs"})
    assert login == Login("db.example.org", 3307, "me", "p@ss")
    assert login.url("ours") == "mysql://me:p%40ss@db.example.org:3307/ours"


def test_separate_variables_name_the_server() -> None:
    assert named_mysql({"DB_HOST": "db", "DB_USER": "me", "DB_PASSWORD": "x"}) == Login("db", 3306, "me", "x")


@pytest.mark.parametrize("variables", [{}, {"DATABASE_URL": "sqlite:///x.sqlite3"}, {"DB_LIQ_TABLENAME": "liqs"}])
def test_without_a_named_server_none_is_chosen(variables: dict[str, str]) -> None:
    assert named_mysql(variables) is None


def test_redis_url_wins_over_its_parts() -> None:
    assert named_redis({"REDIS_URL": "redis://a:1/2", "REDIS_HOST": "b"}) == "redis://a:1/2"
    assert named_redis({"REDIS_HOST": "b", "REDIS_PASSWORD": "p@"}) == "redis://:p%40@b:6379/0"
    assert named_redis({}) == ""


def test_the_tests_see_no_setting_of_the_callers_shell() -> None:
    shell = {"PATH": "/bin", "DB_HOST": "x", "DATABASE_URL": "x", "REDIS_URL": "x", "FEED": "sample", "PORT": "1"}
    assert clean_environment(shell, "/tmp/home") == {
        "PATH": "/bin",
        "LIQUI_HOME": "/tmp/home",
        "LIQUI_ENV_FILE": "",
        "RATE_LIMIT_PER_MINUTE": "0",
    }


def test_a_named_server_gives_a_database_of_our_own_and_is_left_as_it_was(private_mariadb: PrivateMariaDB) -> None:
    before = databases(private_mariadb)
    with mysql_backend({"DATABASE_URL": private_mariadb.url("theirs")}) as url:
        name = f"liqui_{os.getpid()}"
        assert url == private_mariadb.url(name)
        assert databases(private_mariadb) == before | {name}
        assert rows(private_mariadb, f"SHOW CREATE DATABASE {name}")[0][1].count("utf8mb4")
        rows(private_mariadb, f"CREATE DATABASE test_{name}")
    assert databases(private_mariadb) == before


def test_a_named_server_that_is_not_there_is_an_error_and_no_other_is_taken(private_mariadb: PrivateMariaDB) -> None:
    private_mariadb.kill()
    with (
        pytest.raises(NoBackend, match="named by the environment"),
        mysql_backend({"DATABASE_URL": private_mariadb.url("theirs")}),
    ):
        pass


def test_a_server_reached_through_its_socket_gives_a_passing_user(private_mariadb: PrivateMariaDB) -> None:
    before = rows(private_mariadb, "SELECT user, host FROM mysql.user")
    with backends.own_database(Login(socket=str(private_mariadb.folder / "socket")), why="found") as url:
        login = named_mysql({"DATABASE_URL": url})
        assert login is not None
        assert (login.user, login.port) == (f"liqui_{os.getpid()}", private_mariadb.port)
        backends.execute(login, f"CREATE DATABASE test_{login.user}", f"DROP DATABASE test_{login.user}")
    assert rows(private_mariadb, "SELECT user, host FROM mysql.user") == before


@pytest.fixture
def connection(private_redis: PrivateRedis) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(private_redis.url()) as client:
        client.flushall()  # a server of the tests' own
        yield client


def test_redis_numbers_that_hold_something_or_are_claimed_are_left_alone(
    private_redis: PrivateRedis, connection: redis.Redis
) -> None:
    for number in range(1, 14):
        with redis.Redis.from_url(private_redis.url(number)) as client:
            client.set("theirs", 1)
    with RedisClaim(private_redis.url()) as first, RedisClaim(private_redis.url()) as second:
        assert {first.number, second.number} == {14, 15}
        with pytest.raises(NoBackend):
            RedisClaim(private_redis.url())
        with redis.Redis.from_url(first.url) as client:
            client.set("ours", 1)
    assert {info["keys"] for info in connection.info("keyspace").values()} == {1}
    assert len(connection.info("keyspace")) == 13


def test_a_named_redis_that_is_not_there_is_an_error(private_redis: PrivateRedis) -> None:
    private_redis.kill()
    with pytest.raises(NoBackend, match="environment names"), redis_backend({"REDIS_URL": private_redis.url()}):
        pass


def test_a_missing_server_that_we_may_not_install_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> str:
        raise ServerMissing("redis-server is not installed")

    monkeypatch.setattr(PrivateRedis, "program", missing)
    monkeypatch.setattr(packages, "elevation", lambda: None)
    with pytest.raises(packages.PackagesMissing, match="sudo apt-get install redis-server"):
        backends.private(PrivateRedis)
