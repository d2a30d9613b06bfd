"""Two web processes: over Redis where the tests have one, over the outbox alone otherwise."""

from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.live import serving, wait_until
from tests.streams.sockets import announce, client, liquidation, numbers_start


@pytest.mark.contract("D120")
def test_all_subscribers_of_two_processes_get_all_orders(committed: None, tmp_path: Path) -> None:
    numbers_start()
    with ExitStack() as stack:
        homes = [tmp_path / name for name in ("one", "two")]
        for home in homes:
            home.mkdir()
        servers = [stack.enter_context(serving("asgi", home)) for home in homes]
        clients = [stack.enter_context(client(server, "/liquidations")) for server in servers for _ in range(2)]
        for each in clients:
            each.next()
        at = liquidation().event_ms
        sent = [order.sequence for n in range(5) for order in announce(liquidation(at + n))]
        for each in clients:
            assert [frame["sequence"] for frame in each.orders(5)] == sent


def test_a_storm_of_clients_leaves_nothing_behind(committed: None, tmp_path: Path) -> None:
    numbers_start()
    with serving("asgi", tmp_path, WS_MAX_PER_CLIENT="1000") as server:
        for _ in range(5):
            with ExitStack() as stack:
                for number in range(100):
                    stack.enter_context(client(server, "/liquidations/BTCUSDT" if number % 2 else "/liquidations"))

        def is_empty() -> bool:
            lines = server.get("/metrics").text.splitlines()
            return not sum(float(line.split()[-1]) for line in lines if line.startswith("liqui_sockets{"))

        wait_until(is_empty, 30, "all sockets are forgotten")
