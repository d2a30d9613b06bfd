"""Private servers: killed, frozen and started again; nothing of them stays."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import redis

from tools.backends import Login
from tools.servers import PrivateMariaDB, PrivateRedis


def test_mariadb_keeps_its_data_and_port_when_killed_and_started_again(private_mariadb: PrivateMariaDB) -> None:
    login, port = Login(port=private_mariadb.port), private_mariadb.port
    login.connect().query("CREATE DATABASE kept")
    private_mariadb.kill()
    assert not private_mariadb.alive
    with pytest.raises(Exception, match="connect"):
        login.connect()
    private_mariadb.start()
    assert private_mariadb.port == port
    login.connect().query("DROP DATABASE kept")


def test_a_frozen_redis_answers_again_when_resumed(private_redis: PrivateRedis) -> None:
    client = redis.Redis.from_url(private_redis.url(), socket_timeout=0.2, retry=None)
    private_redis.pause()
    with pytest.raises(redis.TimeoutError):
        client.ping()
    private_redis.resume()
    assert client.ping()


def test_the_fixtures_bring_up_what_an_earlier_test_left_dead_or_frozen(private_redis: PrivateRedis) -> None:
    for leave in (private_redis.kill, private_redis.pause, private_redis.stop):
        leave()
        private_redis.start()
        assert private_redis.answers()


def test_a_server_does_not_outlive_its_owner_however_that_dies() -> None:
    code = """
from tools.servers import PrivateRedis
server = PrivateRedis()
server.start()
print(server.port, server.folder, flush=True)
input()
"""
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as owner:
        assert owner.stdout is not None
        port, folder = owner.stdout.readline().split()
        owner.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 10
    while Path(folder).exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not Path(folder).exists()
    with pytest.raises(redis.ConnectionError):
        redis.Redis(port=int(port), retry=None).ping()
