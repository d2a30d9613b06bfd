"""`make serve`: production's programs on this machine, started, disturbed and stopped as a person does it."""

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import redis

from tests.backend import server_only
from tests.live import wait_until
from tools.environment import clean_environment
from tools.servers import ROOT, free_port

pytestmark = [server_only("it brings a MariaDB and a Redis of its own"), pytest.mark.slow]

START_S = 90
CLIENTS = 4


class Serving:
    """The program in a process of its own; what it has printed is in ``output``."""

    def __init__(self, home: Path) -> None:
        self.port, self.log = free_port(), home.with_name("output")
        environment = clean_environment(os.environ, str(home)) | {"FEED": "sample", "PORT": str(self.port)}
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tools.serve", "--workers", "1"],
                cwd=ROOT,
                env=environment,
                stdout=log,
                stderr=log,
            )
        self.client = httpx.Client(base_url=f"http://127.0.0.1:{self.port}", timeout=30, verify=False)

    @property
    def output(self) -> str:
        return self.log.read_text(errors="replace")

    def wait_for(self, pattern: str, seconds: float) -> str:
        deadline = time.monotonic() + seconds
        while not (found := re.search(pattern, self.output)):
            assert self.process.poll() is None, self.output
            assert time.monotonic() < deadline, f"{pattern!r} was not printed:\n{self.output}"
            time.sleep(0.05)
        return found[1]

    def process_of(self, name: str) -> int:
        return int(re.findall(rf"{name} runs, process (\d+)", self.output)[-1])


@pytest.fixture(scope="module")
def serving(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    server = Serving(tmp_path_factory.mktemp("serve") / "home")
    try:
        server.wait_for("(LIQUI_ENV_FILE)", START_S)
        yield server
    finally:
        server.client.close()
        if server.process.poll() is None:
            server.process.terminate()
            server.process.wait(30)


class Readers:
    """Clients that ask for hot and for new windows without a pause while the block runs; ``statuses`` counts."""

    def __init__(self, serving: Serving) -> None:
        self.root = f"http://127.0.0.1:{serving.port}"
        self.statuses: Counter[Any] = Counter()
        self.is_over = threading.Event()
        self.threads = [threading.Thread(target=self.read, args=(number,)) for number in range(CLIENTS)]

    def __enter__(self) -> "Readers":
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.is_over.set()
        for thread in self.threads:
            thread.join()

    def read(self, number: int) -> None:
        hour, now = 3_600_000, int(time.time() * 1000)
        with httpx.Client(base_url=self.root, timeout=30, verify=False) as client:
            turn = 0
            while not self.is_over.is_set():
                turn += 1
                end = now - turn % 50 * hour - number
                window = f"start_timestamp={end - 24 * hour}&end_timestamp={end}"
                for path in (
                    f"/api/liquidations?symbol=BTCUSDT&timeframe=1h&{window}",
                    "/api/liquidation-orders?symbol=BTCUSDT&limit=50",
                    "/api/symbols",
                ):
                    try:
                        self.statuses[client.get(path).status_code] += 1
                    except httpx.HTTPError as error:
                        self.statuses[repr(error)] += 1


def answered(readers: Readers, more: int) -> None:
    """Wait until the clients have had so many more answers."""
    before = readers.statuses.total()
    wait_until(lambda: readers.statuses.total() >= before + more, 60, f"{more} more answers")


def test_it_serves_through_nginx_and_a_shutdown_of_redis_fails_no_read(serving: Serving) -> None:
    health = serving.client.get("/health")
    assert (health.status_code, health.headers["Server"]) == (200, "nginx")
    assert "BTCUSDT" in serving.client.get("/api/symbols").json()
    environment = Path(serving.wait_for(r"LIQUI_ENV_FILE=(\S+)", 1)).read_text()
    url = re.findall(r"REDIS_URL=(\S+)", environment)[0]
    with Readers(serving) as readers:
        answered(readers, 100)
        for _ in range(2):
            printed = serving.output.count("redis has died")
            redis.Redis.from_url(url).shutdown(nosave=True)
            wait_until(lambda before=printed: serving.output.count("redis has died") > before, 15, "it is noticed")
            answered(readers, 100)
    assert set(readers.statuses) == {200}, readers.statuses
    assert redis.Redis.from_url(url).ping()


def test_a_program_that_is_killed_is_started_again(serving: Serving) -> None:
    for name in ("nginx", "rest"):
        os.kill(serving.process_of(name), signal.SIGKILL)
        serving.wait_for(f"({name} has died and is started again)", 15)
        wait_until(lambda: is_well(serving), 30, f"answers without {name}'s first process")


def is_well(serving: Serving) -> bool:
    try:
        return serving.client.get("/health").status_code == 200
    except httpx.TransportError:
        return False


def test_a_second_one_on_the_same_folder_is_refused(serving: Serving) -> None:
    home = serving.log.with_name("home")
    environment = clean_environment(os.environ, str(home)) | {"PORT": str(free_port())}
    second = subprocess.run(
        [sys.executable, "-m", "tools.serve"], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60
    )
    assert second.returncode == 1
    assert f"is in use by liqui, process {serving.process.pid}" in second.stderr


def test_a_simulated_feed_without_an_exchange_is_refused_in_one_line(tmp_path: Path) -> None:
    environment = clean_environment(os.environ, str(tmp_path)) | {"FEED": "simulated", "PORT": str(free_port())}
    refused = subprocess.run(
        [sys.executable, "-m", "tools.serve"], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60
    )
    assert (refused.returncode, refused.stderr.count("\n")) == (1, 1)
    assert "FEED=simulated plays no exchange here" in refused.stderr


def test_sigterm_ends_everything_and_the_data_stay(serving: Serving) -> None:
    began = time.monotonic()
    serving.process.terminate()
    assert serving.process.wait(30) == 0
    assert time.monotonic() - began < 20
    assert "Traceback" not in serving.output
    assert processes_naming(serving.log.with_name("home")) == []
    assert (serving.log.with_name("home") / "serve" / "mariadb" / "data" / "liqui_sample").is_dir()
    with pytest.raises(httpx.ConnectError):
        serving.client.get("/health")


def processes_naming(folder: Path) -> list[str]:
    """Command lines and environments of living processes that have to do with the folder."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            text = (process / "cmdline").read_text() + (process / "environ").read_text(errors="replace")
        except OSError:
            continue
        if str(folder) in text:
            found.append(text.replace("\0", " ")[:200])
    return found
