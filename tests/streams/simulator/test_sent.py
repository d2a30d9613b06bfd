"""The record of what was sent."""

from hypothesis import given
from hypothesis import strategies as st

from streams.simulator.sent import SentLog
from tests.streams.simulator.running import order

receivers = st.lists(st.sets(st.integers(1, 4), min_size=1).map(lambda ids: tuple(sorted(ids))), max_size=30)


def log_of(receivers: list[tuple[int, ...]], limit: int = 100) -> SentLog:
    log = SentLog(limit)
    for number, connections in enumerate(receivers):
        log.add(order(number), number, connections)
    return log


@given(receivers, st.integers(1, 7), st.none() | st.integers(1, 4))
def test_pages_together_are_everything_once(
    receivers: list[tuple[int, ...]], limit: int, connection: int | None
) -> None:
    log, after, found = log_of(receivers), 0, []
    while after is not None:
        page = log.page(connection, after, limit)
        found += [int(order.q) for order in page.orders]
        after = page.next
    asked = [number for number, ids in enumerate(receivers) if connection is None or connection in ids]
    assert found == asked
    assert page.count == len(asked)


@given(receivers, st.integers(1, 10))
def test_what_is_forgotten_is_counted(receivers: list[tuple[int, ...]], limit: int) -> None:
    page = log_of(receivers, limit).page()
    assert page.count == len(receivers) == page.forgotten + len(page.orders)
    assert [order.number for order in page.orders] == list(range(page.forgotten + 1, len(receivers) + 1))
