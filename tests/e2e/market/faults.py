"""What goes wrong between the exchange and the terminals. Each fault ends before its function does."""

import os
import random
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from tests.e2e.live.programs import Program
from tests.live import wait_until
from tests.terminal import Market
from tools.servers import PrivateMariaDB, PrivateRedis, PrivateServer

DEPTH, TRADES = "/fapi/v1/depth", "/fapi/v1/aggTrades"
DOWN_SECONDS = (1.0, 3.0)
FROZEN_SECONDS = (3.0, 9.0)
REFUSED_SECONDS = 3.0
SOME = (1, 5)


@dataclass
class Stage:
    """A service that may be broken; ``stored`` reads closed 1m candles of a symbol: opening and figures."""

    market: Market
    stored: Callable[[str], Sequence[tuple[Any, ...]]]
    speed: float  # of the exchange's time
    mariadb: PrivateMariaDB | None = None
    redis: PrivateRedis | None = None

    @property
    def ports(self) -> list[int]:
        return [web.port for web in self.market.webs]


class Fault(NamedTuple):
    """``asks``: what the collector asks the exchange for to mend it, and ``spares`` what it need not ask.

    ``is_silent``: nobody can know of it at the time. Charts may then have been shown a minute without its last trades,
    and the one after it, before which nothing can be drawn any more.
    """

    happen: Callable[[Stage, random.Random], None]
    asks: Sequence[str] = ()
    spares: Sequence[str] = ()
    is_silent: bool = False


def public_dropped(stage: Stage, chance: random.Random) -> None:
    drop(stage, "/public")


def market_dropped(stage: Stage, chance: random.Random) -> None:
    drop(stage, "/market")


def drop(stage: Stage, route: str = "/") -> None:
    """All connections of a route, or of both."""
    open_ones = [each for each in stage.market.exchange.get("connections") if each["closed_ms"] is None]
    stage.market.exchange.tell("drop", connections=[each["id"] for each in open_ones if each["url"].startswith(route)])


def diffs_skipped(stage: Stage, chance: random.Random) -> None:
    stage.market.exchange.tell("depth_skip", count=chance.randint(*SOME))
    # Until they would have been sent.
    time.sleep(0.6)


def diffs_repeated(stage: Stage, chance: random.Random) -> None:
    stage.market.exchange.tell("depth_repeat", count=chance.randint(*SOME))


def trades_skipped(stage: Stage, chance: random.Random) -> None:
    stage.market.exchange.tell("trades_skip", count=chance.randint(*SOME))


def frames_repeated(stage: Stage, chance: random.Random) -> None:
    stage.market.exchange.tell("repeat", frames=chance.randint(1, 100))


def connections_stalled(stage: Stage, chance: random.Random) -> None:
    """What would have been sent meanwhile is not sent later."""
    seconds = chance.uniform(*DOWN_SECONDS)
    stage.market.exchange.tell("stall", seconds=seconds)
    time.sleep(seconds)


def snapshots_refused(stage: Stage, chance: random.Random) -> None:
    """The connection is lost, and for a while there is no snapshot to begin with anew."""
    stage.market.exchange.tell("rest", status=429, seconds=REFUSED_SECONDS, path=DEPTH)
    drop(stage, "/public")
    time.sleep(REFUSED_SECONDS)


def everything_refused(stage: Stage, chance: random.Random) -> None:
    stage.market.exchange.tell("rest", status=chance.choice([429, 503]), seconds=REFUSED_SECONDS)
    drop(stage)
    time.sleep(REFUSED_SECONDS)


def collector_killed(stage: Stage, chance: random.Random) -> None:
    """Embedded that is the whole service. It is over when the new one is connected to the exchange."""
    market = stage.market
    market.collector.kill()
    wait_until(lambda: not market.exchange.followers(), 10, "the exchange has noticed")
    time.sleep(chance.uniform(*DOWN_SECONDS))
    market.collector.start()
    wait_until(market.exchange.followers, 60, "a new collector is connected")


def collector_frozen(stage: Stage, chance: random.Random) -> None:
    frozen(stage.market.collector, chance)


def web_frozen(stage: Stage, chance: random.Random) -> None:
    frozen(chance.choice(stage.market.webs), chance)


def frozen(program: Program, chance: random.Random) -> None:
    os.kill(program.pid, signal.SIGSTOP)
    try:
        time.sleep(chance.uniform(*FROZEN_SECONDS))
    finally:
        os.kill(program.pid, signal.SIGCONT)


def redis_killed(stage: Stage, chance: random.Random) -> None:
    server_killed(stage.redis, chance, DOWN_SECONDS)


def redis_away(stage: Stage, chance: random.Random) -> None:
    """For so long that the collector takes the web processes for dead."""
    server_killed(stage.redis, chance, FROZEN_SECONDS)


def redis_frozen(stage: Stage, chance: random.Random) -> None:
    assert stage.redis is not None
    stage.redis.pause()
    try:
        time.sleep(chance.uniform(*FROZEN_SECONDS))
    finally:
        stage.redis.resume()


def database_killed(stage: Stage, chance: random.Random) -> None:
    server_killed(stage.mariadb, chance, DOWN_SECONDS)


def server_killed(server: PrivateServer | None, chance: random.Random, seconds: tuple[float, float]) -> None:
    assert server is not None
    server.kill()
    try:
        time.sleep(chance.uniform(*seconds))
    finally:
        server.start()


FAULTS: dict[str, Fault] = {
    "connection of books dropped": Fault(public_dropped, asks=[DEPTH], spares=[TRADES]),
    "connection of trades dropped": Fault(market_dropped, asks=[TRADES], spares=[DEPTH]),
    "depth updates skipped": Fault(diffs_skipped, asks=[DEPTH], spares=[TRADES]),
    "depth updates repeated": Fault(diffs_repeated, spares=[DEPTH]),
    "trades skipped": Fault(trades_skipped, asks=[TRADES], spares=[DEPTH]),
    "dropped, and snapshots refused": Fault(snapshots_refused, asks=[DEPTH]),
    "collector killed": Fault(collector_killed, asks=[DEPTH, TRADES]),
}
SERVER_FAULTS: dict[str, Fault] = {
    "Redis killed": Fault(redis_killed, spares=[DEPTH]),
}
RARE_FAULTS: dict[str, Fault] = {
    "frames repeated": Fault(frames_repeated, spares=[DEPTH]),
    "connections stalled": Fault(connections_stalled, asks=[DEPTH], is_silent=True),
    "dropped, and all requests refused": Fault(everything_refused, asks=[DEPTH]),
    "collector frozen": Fault(collector_frozen),
}
RARE_SERVER_FAULTS: dict[str, Fault] = {
    "web process frozen": Fault(web_frozen),
    "Redis away for long": Fault(redis_away),
    "Redis frozen": Fault(redis_frozen),
    "database killed": Fault(database_killed),
}


def common_faults(stage: Stage) -> dict[str, Fault]:
    return FAULTS if stage.redis is None else FAULTS | SERVER_FAULTS


def all_faults(stage: Stage) -> dict[str, Fault]:
    return common_faults(stage) | RARE_FAULTS | ({} if stage.redis is None else RARE_SERVER_FAULTS)
