"""`make run`: one process with web server, worker and beat, started and stopped as a person does it."""

import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.backend import server_only, sqlite_only
from tests.liqui.serving import ROOT, Serving, environment, manage, serving
from tools.servers import PrivateMariaDB, PrivateRedis, free_port

pytestmark = pytest.mark.slow
# It takes no database of the run: each test belongs to the run whose servers it needs, or none.
embedded = sqlite_only("embedded it uses SQLite")
private = server_only("a private server is used: once, in the run on a server")

BUILD = "liquidations.build_bars"
SECRETS = {"SECRET_KEY": "for tests", "JWT_SECRET": "for tests " * 4}


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


def until(happened: Callable[[], bool], seconds: float = 15) -> bool:
    deadline = time.monotonic() + seconds
    while not happened() and time.monotonic() < deadline:
        time.sleep(0.1)
    return happened()


@embedded
def test_a_fresh_folder_becomes_a_running_service_that_stops_within_five_seconds(home: Path) -> None:
    with serving(home) as server:
        health = server.client.get("/health")
        assert (health.status_code, health.json()["feed"]) == (200, "none")
        assert server.client.get("/api/symbols").json() == []
        server.wait_for("curl ")
        assert "migrations applied" in server.text()
        assert f"http://127.0.0.1:{server.port}/docs" in server.text()
        status, seconds = server.stop()
        assert (status, seconds < 5) == (0, True)
        assert "Traceback" not in server.text()


@embedded
def test_a_second_start_is_quick_and_ctrl_c_ends_it_cleanly(home: Path) -> None:
    with serving(home) as server:
        server.stop()
    started = time.monotonic()
    with serving(home) as server:
        assert time.monotonic() - started < 5
        status, seconds = server.stop(signal.SIGINT)
        assert (status, seconds < 5) == (0, True)


@embedded
def test_sample_data_is_served_from_its_own_file_and_named(home: Path) -> None:
    with serving(home, FEED="sample") as server:
        server.wait_for("manage.py import_liquidations PATH")
        assert "sample data" in server.text()
        assert server.client.get("/health").json()["feed"] == "sample"
        assert "BTCUSDT" in server.client.get("/api/symbols").json()
    assert (home / "sample.sqlite3").exists()
    assert not (home / "liqui.sqlite3").exists()


@embedded
def test_a_second_instance_on_one_folder_is_refused_in_one_line(home: Path) -> None:
    with serving(home) as server:
        second = manage("serve", home=home, PORT=str(free_port()))
        assert second.returncode == 1
        line = second.stderr.strip().splitlines()[-1]
        assert str(home) in line
        assert str(server.process.pid) in line
        assert "Traceback" not in second.stderr
        assert server.client.get("/health").status_code == 200


@embedded
def test_a_lock_that_a_killed_process_left_does_not_matter(home: Path) -> None:
    with serving(home) as server:
        server.process.kill()
        server.process.wait()
    with serving(home) as server:
        assert server.client.get("/health").status_code == 200


@embedded
def test_a_port_that_is_taken_is_named_in_one_line(home: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        refused = manage("serve", home=home, PORT=str(port))
    assert refused.returncode == 1
    assert f"PORT={port + 1}" in refused.stderr.splitlines()[-1]
    assert "Traceback" not in refused.stderr


@embedded
@pytest.mark.parametrize("host", ["999.1.1.1", "192.0.2.1"])
def test_a_host_that_is_not_ours_is_named_in_one_line(home: Path, host: str) -> None:
    refused = manage("serve", home=home, HOST=host, PORT=str(free_port()))
    assert refused.returncode == 1
    assert f"HOST={host}" in refused.stderr.splitlines()[-1]
    assert "Traceback" not in refused.stderr


@embedded
@pytest.mark.parametrize(
    "command",
    [
        ["manage.py", "serve"],
        ["-m", "celery", "-A", "liqui", "worker"],
        ["-c", "import liqui.wsgi"],
        ["-c", "import liqui.asgi"],
        ["manage.py", "check"],
    ],
)
def test_no_process_starts_with_a_faulty_configuration(home: Path, command: list[str]) -> None:
    faulty = environment(home, PORT="http", DB_HOST="db", LIQUI_HOME=str(home / "secret_key" / "x"))
    home.mkdir()
    (home / "secret_key").write_text("a file, where a folder is wanted")
    ended = subprocess.run([sys.executable, *command], cwd=ROOT, env=faulty, capture_output=True, text=True, timeout=30)
    assert ended.returncode == 1
    for id in ("liqui.E001", "liqui.E002", "liqui.E006"):
        assert id in ended.stderr
    assert "Traceback" not in ended.stderr


@embedded
def test_a_task_called_in_a_second_shell_runs_in_the_server(home: Path) -> None:
    with serving(home) as server:
        server.celery_call(BUILD)
        assert until(lambda: server.tasks_succeeded(BUILD) >= 1), server.text()


@embedded
def test_what_a_crash_left_behind_stops_neither_beat_nor_the_worker(home: Path) -> None:
    for folder in ("queue", "control"):
        (home / "celery" / folder).mkdir(parents=True)
    for name in ("beat", "beat.db", "beat.dat", "beat.dir", "beat.bak"):
        (home / "celery" / name).write_bytes(b"\0garbage\xff")
    (home / "celery" / "control" / "celery.pidbox.exchange").write_text("{")
    (home / "celery" / "queue" / "1_x.celery.msg").write_text("{half a mess")
    (home / "celery" / "queue" / "2_x.celery.msg").write_text("")
    with serving(home) as server:
        server.celery_call(BUILD)
        assert until(lambda: server.tasks_succeeded(BUILD) >= 1, 20), server.text()


@embedded
def test_a_request_that_does_not_end_is_cut_when_the_server_stops(home: Path) -> None:
    with serving(home) as server, socket.create_connection(("127.0.0.1", server.port)) as slow:
        slow.sendall(b"GET /api/symbols HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhalf")
        time.sleep(0.2)
        status, seconds = server.stop()
        assert (status, seconds < 5) == (0, True)


@embedded
def test_any_bytes_in_a_request_are_answered_with_4xx(home: Path) -> None:
    targets = [
        b"/api/symbols?\xff\xfe=\x80",
        b"/\xff\xfe",
        b"/%ff%fe",
        b"/api/%00",
        b"//",
        b"/api/liquidations?symbol=%00%ff",
    ]
    with serving(home) as server:
        for target in targets:
            with socket.create_connection(("127.0.0.1", server.port), timeout=10) as raw:
                raw.sendall(b"GET " + target + b" HTTP/1.1\r\nHost: \xff\r\nConnection: close\r\n\r\n")
                status = int(raw.recv(4096).split()[1])
                assert 200 <= status < 500, target
        assert server.client.get("/health").status_code == 200
        assert "Traceback" not in server.text()


def on_server(mariadb: PrivateMariaDB, database: str, **variables: str) -> dict[str, str]:
    return {"DATABASE_URL": mariadb.url(database), **SECRETS, **variables}


@private
@pytest.mark.contract("D055")
def test_a_database_that_is_down_at_start_is_waited_for(home: Path, private_mariadb: PrivateMariaDB) -> None:
    private_mariadb.stop()
    with serving(home, **on_server(private_mariadb, "late", FEED="sample")) as server:
        health = server.client.get("/health")
        assert (health.status_code, health.json()["status"]) == (503, "unhealthy")
        answer = server.client.get("/api/symbols")
        assert (answer.status_code, answer.json()) == (503, {"detail": "Database service unavailable"})
        assert "database not ready" in server.text()
        private_mariadb.start()
        server.wait_for("database ready", 30)
        assert server.client.get("/health").status_code == 200
        assert "BTCUSDT" in server.client.get("/api/symbols").json()


@private
def test_a_missing_table_on_the_users_own_server_is_named_and_not_made(
    home: Path, private_mariadb: PrivateMariaDB
) -> None:
    execute(private_mariadb, "CREATE DATABASE IF NOT EXISTS own CHARACTER SET utf8mb4")
    with serving(home, **on_server(private_mariadb, "own")) as server:
        server.wait_for("table binance_liqs does not exist")
        assert server.client.get("/health").status_code == 503
        answer = server.client.get("/api/symbols")
        assert (answer.status_code, answer.json()) == (503, {"detail": "Database service unavailable"})
    assert execute(private_mariadb, "SHOW TABLES FROM own LIKE 'binance_liqs'") == ()


@private
def test_200_requests_at_once_take_no_more_connections_than_allowed(
    home: Path, private_mariadb: PrivateMariaDB
) -> None:
    variables = on_server(private_mariadb, "crowd", FEED="sample", MAX_CONNECTIONS="5")
    with serving(home, **variables) as server:
        codes = crowd(f"http://127.0.0.1:{server.port}/api/symbols", 200)
        assert codes == {200}
        (row,) = execute(
            private_mariadb, "SELECT COUNT(*) FROM information_schema.processlist WHERE db = 'crowd_sample'"
        )
        # Five for requests, two for probes, two for tasks.
        assert row[0] <= 9


@private
def test_everything_goes_on_without_redis(home: Path, private_redis: PrivateRedis) -> None:
    private_redis.stop()
    with serving(home, REDIS_URL=private_redis.url()) as server:
        assert server.client.get("/api/symbols").status_code == 200
        assert server.client.get("/health").json()["components"]["redis"]["status"] == "degraded"
        status, seconds = server.stop()
        assert (status, seconds < 5) == (0, True)


def crowd(url: str, size: int) -> set[int]:
    """The statuses of ``size`` requests sent at once."""
    import asyncio

    async def ask() -> set[int]:
        limits = httpx.Limits(max_connections=size)
        async with httpx.AsyncClient(limits=limits, timeout=60) as client:
            return {answer.status_code for answer in await asyncio.gather(*(client.get(url) for _ in range(size)))}

    return asyncio.run(ask())


def execute(mariadb: PrivateMariaDB, sql: str) -> tuple[tuple[object, ...], ...]:
    import MySQLdb

    connection = MySQLdb.connect(host=mariadb.host, port=mariadb.port, user="root")
    try:
        cursor = connection.cursor()
        cursor.execute(sql)
        return cursor.fetchall()
    finally:
        connection.close()


@private
def test_a_user_who_may_not_make_the_samples_database_is_told_what_to_do(
    home: Path, private_mariadb: PrivateMariaDB
) -> None:
    for name in ("127.0.0.1", "localhost"):
        execute(private_mariadb, f"CREATE OR REPLACE USER reader@'{name}' IDENTIFIED BY 'pw-not-to-be-shown'")
    url = f"mysql://reader:pw-not-to-be-shown@127.0.0.1:{private_mariadb.port}/theirs"
    with serving(home, DATABASE_URL=url, FEED="sample", **SECRETS) as server:
        server.wait_for("needs a database theirs_sample, which this user may not create")
        assert server.client.get("/health").status_code == 503
        assert "pw-not-to-be-shown" not in server.text()
        assert "Traceback" not in server.text()


@embedded
def test_a_changed_file_restarts_the_development_server(home: Path) -> None:
    with serving(home, "--reload", DEBUG="1") as server:
        server.wait_for("celery -A liqui worker")
        (ROOT / "liqui" / "guide.py").touch()
        server.wait_for("Reloading")
        assert until(lambda: answers(server.client))
        status, seconds = server.stop()
        assert (status, seconds < 5) == (0, True)


def answers(client: httpx.Client) -> bool:
    """False while the old process is ending, which may take a request with it."""
    try:
        return client.get("/api/symbols").status_code == 200
    except httpx.TransportError:
        return False


@embedded
def test_a_simulated_feed_is_played_stored_and_named(home: Path) -> None:
    with serving(home, FEED="simulated") as server:
        server.wait_for("SIMULATED: the exchange is made up")
        server.wait_for("connected to 127.0.0.1:[0-9]+, a simulated exchange")
        assert until(lambda: collector_of(server).get("stored", 0) > 0)
        assert collector_of(server)["simulated"]
        assert server.client.get("/health").json()["feed"] == "simulated"
        assert server.client.get("/api/symbols").json()
    # The exchange ends with it, and its rows have a file of their own.
    assert (home / "simulated.sqlite3").exists()
    assert not (home / "liqui.sqlite3").exists()


@embedded
def test_auto_plays_a_simulated_feed_and_says_why_where_binance_cannot_be_reached(home: Path) -> None:
    with serving(home, FEED="auto", BINANCE_WS_BASE_URL=f"ws://127.0.0.1:{free_port()}") as server:
        assert "connection refused: nothing listens there" in server.text()
        assert "A simulated exchange is played instead" in server.text()
        assert server.client.get("/health").json()["feed"] == "simulated"


@embedded
def test_a_live_feed_says_in_one_line_that_binance_cannot_be_reached_and_keeps_trying(home: Path) -> None:
    nowhere = {"BINANCE_WS_BASE_URL": f"ws://127.0.0.1:{free_port()}", "BINANCE_API_BASE_URL": "http://127.0.0.1:9"}
    with serving(home, FEED="live", **nowhere) as server:
        server.wait_for("connection refused: nothing listens there, or a firewall is in between; trying again")
        assert until(lambda: "not connected: binance: 127.0.0.1" in collector_of(server)["message"])
        assert collector_of(server)["status"] == "unhealthy"
        assert "connection refused" in collector_of(server)["message"]
        # It is no reason not to serve what is there.
        assert server.client.get("/health").status_code == 200
    assert (home / "liqui.sqlite3").exists()


def collector_of(server: Serving) -> Any:
    return server.client.get("/health").json()["components"]["collector"]
