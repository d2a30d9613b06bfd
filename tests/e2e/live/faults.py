"""What goes wrong in a fault run: kills of collectors, of the database and of Redis, at random moments."""

import random
import time
from collections.abc import Sequence

from tests.e2e.live.stages import ServerStage
from tools.servers import PrivateServer

# Longer than the exchange takes to notice that a killed collector's connection is gone.
OVERLAP_SECONDS = 1.5
OUTAGE_SECONDS = (0.5, 4.0)
BETWEEN_SECONDS = (0.5, 3.0)


def collector_killed(stage: ServerStage, chance: random.Random) -> None:
    """One of the two; the other is connected, and has been for a while."""
    stage.exchange.wait_connected(2)
    time.sleep(OVERLAP_SECONDS)
    victim = chance.choice(stage.collectors)
    victim.kill()
    time.sleep(chance.uniform(*OUTAGE_SECONDS))
    victim.start()
    stage.exchange.wait_connected(2)


def database_killed(stage: ServerStage, chance: random.Random) -> None:
    server_killed(stage, chance, stage.mariadb)


def redis_killed(stage: ServerStage, chance: random.Random) -> None:
    server_killed(stage, chance, stage.redis)


def server_killed(stage: ServerStage, chance: random.Random, server: PrivateServer) -> None:
    """Every other time a collector is killed meanwhile, with what it could not store."""
    server.kill()
    try:
        time.sleep(chance.uniform(*OUTAGE_SECONDS))
        if chance.random() < 0.5:
            collector_killed(stage, chance)
    finally:
        server.start()


FAULTS = {"collector": collector_killed, "database": database_killed, "redis": redis_killed}


def random_faults(chance: random.Random, count: int) -> list[str]:
    """So many, each kind at least once where there is room for it."""
    return chance.sample([*FAULTS, *chance.choices(list(FAULTS), k=max(count - len(FAULTS), 0))], count)


def faults_happen(stage: ServerStage, faults: Sequence[str], chance: random.Random) -> None:
    for fault in faults:
        time.sleep(chance.uniform(*BETWEEN_SECONDS))
        FAULTS[fault](stage, chance)
    stage.check_alive()
