"""Exchange, two collectors, MariaDB, Redis, two web processes, many sockets: nothing is lost or comes twice."""

import os
import random
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.backend import server_only
from tests.e2e.live.faults import faults_happen, random_faults
from tests.e2e.live.followers import following
from tests.e2e.live.proof import AIR_CLEARS_SECONDS, ledger_is_exact, nothing_lost_nothing_twice, storm_passes
from tests.e2e.live.stages import ServerStage, Stage, server_stage
from tests.live import wait_until
from tools.servers import DURABLE, PrivateMariaDB, PrivateRedis

# Other numbers, other moments: LIQUI_SEED=8 make soak ARGS="-k live".
SEED = int(os.environ.get("LIQUI_SEED", "7"))
FOLLOWERS = 20

pytestmark = server_only("the whole set of servers is started once")


@pytest.fixture
def stage(private_redis: PrivateRedis, tmp_path: Path) -> Iterator[ServerStage]:
    with PrivateMariaDB(DURABLE) as mariadb, server_stage(mariadb, private_redis, tmp_path, SEED) as stage:
        yield stage


@pytest.mark.slow
@pytest.mark.contract("D120")
def test_nothing_is_lost_or_doubled_when_a_collector_and_the_database_are_killed(stage: ServerStage) -> None:
    prove(stage, ["collector", "database"])
    storm_passes(stage)


@pytest.mark.soak
def test_nothing_is_lost_or_doubled_in_twenty_kills_at_random_moments(stage: ServerStage) -> None:
    prove(stage, random_faults(random.Random(SEED), 20))
    storm_passes(stage)


def prove(stage: ServerStage, faults: Sequence[str]) -> None:
    with following(stage.ports, FOLLOWERS) as followers:
        wait_until(lambda: all(each.connections for each in followers), 60, "every client is connected")
        stage.exchange.tell("resume")
        faults_happen(stage, faults, random.Random(SEED))
        nobody_listens_for_a_while(stage)
        time.sleep(2)
        nothing_lost_nothing_twice(stage, followers)
    ledger_is_exact(stage)


def nobody_listens_for_a_while(stage: Stage) -> None:
    """The exchange refuses both collectors for some seconds; time stands still first, so that nothing is in the air."""
    stage.exchange.tell("pause")
    time.sleep(AIR_CLEARS_SECONDS)
    stage.exchange.tell("handshakes", status=503, seconds=4)
    stage.exchange.tell("drop")
    stage.exchange.tell("resume")
    stage.exchange.wait_connected(2)
