"""What must hold after a fault run: table, sockets and ledger against what the exchange says of itself."""

import asyncio
import time
from collections import Counter
from collections.abc import Sequence

from tests.e2e.live.exchange import Interval
from tests.e2e.live.followers import Follower, storm
from tests.e2e.live.stages import Stage
from tests.live import wait_until

# A collector says once a second that it still receives, and a connection that falls silent is noticed by its pings.
LEDGER_RESOLUTION_MS = 3_000
# In which whatever was sent is read, before those who should read it are cut off.
AIR_CLEARS_SECONDS = 1.5
OWN_FILES = 20  # that a web process may have opened for itself meanwhile: threads' connections to the database
LEAST_ORDERS = 50  # or little is proved


def nothing_lost_nothing_twice(stage: Stage, followers: Sequence[Follower]) -> None:
    """Ends the feed. The table holds what was sent to the living, and so has every client seen it."""
    stage.exchange.tell("pause")
    sent = stage.exchange.sent_to_the_living()
    assert len(sent) >= LEAST_ORDERS, "too few orders were sent to prove anything"
    stage.wait_stored(len(sent))
    stage.wait_seen(followers, len(sent))
    assert Counter(stage.stored()) == Counter(sent)
    for follower in followers:
        assert not follower.faults
        assert Counter(follower.orders) == Counter(sent)
        assert set(follower.unnumbered) <= sent
    connections = sum(follower.connections for follower in followers)
    early = sum(len(follower.unnumbered) for follower in followers)
    print(f"\n{len(sent)} orders, {connections} connections of clients, {early} deliveries without a number")


def ledger_is_exact(stage: Stage) -> None:
    """Every time without a connection is in the ledger, and nothing else is, to `LEDGER_RESOLUTION_MS`."""
    opened_ms = min(each["opened_ms"] for each in stage.exchange.get("connections"))
    now_ms = int(time.time() * 1000)
    truths, told = stage.exchange.unconnected(now_ms), stage.gaps(opened_ms, now_ms)
    # A short one of either kind may be there, or look longer than it is.
    assert any(truth.ms > LEDGER_RESOLUTION_MS for truth in truths), "there was no time without a connection"
    assert not unmatched(truths, told), "missing in the ledger"
    assert not unmatched(told, truths), "in the ledger alone"


def unmatched(gaps: Sequence[Interval], others: Sequence[Interval]) -> list[Interval]:
    """Of the gaps that are longer than the resolution, those that none of the others equals to it."""

    def is_matched(gap: Interval) -> bool:
        return any(
            max(abs(gap.start_ms - other.start_ms), abs(gap.end_ms - other.end_ms)) <= LEDGER_RESOLUTION_MS
            for other in others
        )

    return [gap for gap in gaps if gap.ms > LEDGER_RESOLUTION_MS and not is_matched(gap)]


def storm_passes(stage: Stage) -> None:
    """Five hundred clients come and break off, again and again; none of them is held afterwards."""
    web = stage.webs[0]
    before = web.open_files()
    admitted = asyncio.run(storm(web.port, clients=500, rounds=3))
    assert admitted >= 500
    wait_until(lambda: web.open_files() <= before + OWN_FILES, 60, f"the {admitted} clients of the storm are forgotten")
    stage.check_alive()
