"""`manage.py serve` alone, with SQLite and the collector in its own process: killed as a whole, it loses nothing."""

import os
import random
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.backend import sqlite_only
from tests.e2e.live.exchange import Exchange
from tests.e2e.live.followers import following
from tests.e2e.live.programs import Web
from tests.e2e.live.proof import AIR_CLEARS_SECONDS, ledger_is_exact, nothing_lost_nothing_twice, storm_passes
from tests.e2e.live.stages import ADMIT_ALL, COLUMNS, Stage, exchange_options
from tests.live import server_environment, wait_until
from tools.servers import free_port

SEED = int(os.environ.get("LIQUI_SEED", "7"))
FOLLOWERS = 10
UP_SECONDS = (3.0, 6.0)
DOWN_SECONDS = (3.5, 4.5)  # longer than the ledger's resolution, however soon it is up again

pytestmark = sqlite_only("embedded it uses SQLite")


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    base = server_environment(tmp_path) | ADMIT_ALL
    exchange, port = Exchange(tmp_path, base, exchange_options(SEED)), free_port()
    variables = base | exchange.addresses | {"FEED": "simulated", "PORT": str(port)}
    serve = Web("serve", tmp_path, ["manage.py", "serve"], variables, port)
    with exchange, serve:
        serve.wait_ready()
        exchange.control.wait_connected(1)
        yield Stage(
            exchange=exchange.control,
            webs=[serve],
            programs=[exchange, serve],
            collectors=[serve],
            rows=lambda: sqlite_rows(serve.home / "simulated.sqlite3"),
        )


def sqlite_rows(path: Path) -> Sequence[Sequence[Any]]:
    with closing(sqlite3.connect(path, timeout=20)) as connection:
        return connection.execute(f"SELECT {COLUMNS} FROM binance_liqs").fetchall()


@pytest.mark.slow
def test_the_embedded_service_is_killed_and_nothing_is_lost_or_doubled(stage: Stage) -> None:
    prove(stage, kills=1)
    storm_passes(stage)


@pytest.mark.soak
def test_the_embedded_service_is_killed_ten_times_and_nothing_is_lost_or_doubled(stage: Stage) -> None:
    prove(stage, kills=10)
    storm_passes(stage)


def prove(stage: Stage, kills: int) -> None:
    chance = random.Random(SEED)
    with following(stage.ports, FOLLOWERS) as followers:
        wait_until(lambda: all(each.connections for each in followers), 60, "every client is connected")
        stage.exchange.tell("resume")
        for _ in range(kills):
            time.sleep(chance.uniform(*UP_SECONDS))
            killed_and_started(stage, chance.uniform(*DOWN_SECONDS))
        time.sleep(2)
        nothing_lost_nothing_twice(stage, followers)
    ledger_is_exact(stage)


def killed_and_started(stage: Stage, down_seconds: float) -> None:
    """The only collector dies: time stands still before, so that nothing is sent that nobody reads."""
    [serve] = stage.webs
    stage.exchange.tell("pause")
    time.sleep(AIR_CLEARS_SECONDS)
    serve.kill()
    stage.exchange.tell("resume")
    time.sleep(down_seconds)
    serve.start()
    serve.wait_ready()
    stage.exchange.wait_connected(1)
