"""The outbox: numbers without holes in the order of commit, each order once, whoever stores it."""

import json
import time
from collections.abc import Sequence
from threading import Barrier, Thread

import pytest
from django.db import OperationalError, connection

from liquidations.models import LiquidationOrder
from marketdata.types import Liquidation
from streams import outbox
from streams.models import OutboxOrder
from streams.outbox import orders_store, outbox_head, outbox_prune, outbox_since, outbox_tail
from streams.tasks import prune_outbox
from streams.types import LiveOrder, live_orders_decode, live_orders_encode
from tests.streams.collecting.orders import liquidation

pytestmark = pytest.mark.usefixtures("committed")

HOUR_MS = 3_600_000


def store(orders: Sequence[Liquidation]) -> list[LiveOrder]:
    def reject(position: int, reason: str) -> None:
        raise AssertionError(f"{position}: {reason}")

    return orders_store(orders, reject)


def sequences() -> list[int]:
    return list(OutboxOrder.objects.order_by("sequence").values_list("sequence", flat=True))


def test_stored_orders_are_numbered_from_one_and_are_in_the_table() -> None:
    orders = [liquidation(number) for number in range(5)]
    live = store(orders)
    assert [each.sequence for each in live] == [1, 2, 3, 4, 5]
    assert sorted(LiquidationOrder.objects.values_list("order_trade_time", flat=True)) == [
        order.event_ms for order in orders
    ]
    assert (outbox_head(), outbox_tail()) == (5, 1)


def test_the_frame_of_an_order_tells_its_number_and_the_one_before() -> None:
    store([liquidation(0)])
    (live,) = store([liquidation(1)])
    frame = json.loads(live.text)
    assert (frame["type"], frame["symbol"], frame["data"]["side"]) == ("liquidation_order", "BTCUSDT", "SELL")
    assert (frame["sequence"], frame["previous"]) == (live.sequence, 1)
    assert (live.side, live.event_ms, live.notional) == ("SELL", liquidation(1).event_ms, pytest.approx(160_020.5))
    assert live_orders_decode(live_orders_encode([live])) == [live]


def test_a_copy_is_neither_stored_nor_announced_again() -> None:
    orders = [liquidation(number) for number in range(3)]
    store(orders)
    # A second collector's: received at another time, numbers written with other zeros.
    copies = [liquidation(number, received_ms=orders[0].received_ms + 700) for number in range(4)]
    assert [each.event_ms for each in store(copies)] == [copies[3].event_ms]
    assert sequences() == [1, 2, 3, 4]
    assert LiquidationOrder.objects.count() == 4


def test_a_copy_within_one_batch_is_announced_once() -> None:
    assert len(store([liquidation(1), liquidation(2), liquidation(1)])) == 2
    assert sequences() == [1, 2]


def test_an_order_that_another_program_has_inserted_is_announced_all_the_same() -> None:
    outbox.orders_merge([outbox.forced_order(liquidation(1))])
    assert len(store([liquidation(1)])) == 1
    assert LiquidationOrder.objects.count() == 1


def test_what_was_received_more_than_a_day_ago_is_stored_and_not_announced() -> None:
    now_ms = outbox.clock_ms()
    assert store([liquidation(1, received_ms=now_ms - 24 * HOUR_MS - 1)]) == []
    assert LiquidationOrder.objects.count() == 1
    assert len(store([liquidation(2, received_ms=now_ms - 23 * HOUR_MS)])) == 1


def test_an_order_that_the_table_cannot_hold_is_rejected_and_gets_no_number() -> None:
    rejected = []
    orders = [liquidation(1), liquidation(2, symbol="X" * 30), liquidation(3)]
    live = orders_store(orders, lambda position, reason: rejected.append((position, reason)))
    if connection.vendor == "mysql":
        assert [each.sequence for each in live] == [1, 2]
        assert [position for position, _ in rejected] == [1]
    assert sequences() == [each.sequence for each in live]


def test_a_transaction_that_fails_gives_no_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    store([liquidation(0)])
    with monkeypatch.context() as patch:

        def fail(*arguments: object) -> None:
            raise OperationalError(2013, "Lost connection to server during query")

        patch.setattr(outbox, "outbox_append", fail)
        with pytest.raises(OperationalError):
            store([liquidation(1)])
    assert (sequences(), LiquidationOrder.objects.count()) == ([1], 1)
    assert [each.sequence for each in store([liquidation(1)])] == [2]


def test_two_writers_at_once_number_without_holes_in_the_order_of_commit_and_nothing_twice() -> None:
    count, batch = 240, 8
    barrier, seen, failures = Barrier(3), [], []

    def write(first_half: bool) -> None:
        try:
            # Both have every order, in another order: whoever comes first announces it.
            numbers = list(range(count)) if first_half else list(range(count))[::-1]
            barrier.wait()
            for start in range(0, count, batch):
                store([liquidation(number) for number in numbers[start : start + batch]])
        except Exception as error:
            failures.append(error)
        finally:
            connection.close()

    writers = [Thread(target=write, args=(flag,)) for flag in (True, False)]
    for writer in writers:
        writer.start()
    barrier.wait()
    position = 0
    # A follower never sees a number before all lower ones.
    while any(writer.is_alive() for writer in writers) or position < outbox_head():
        new = [order.sequence for order in outbox_since(position, 1000)]
        assert new == list(range(position + 1, position + 1 + len(new)))
        seen += new
        position += len(new)
        time.sleep(0.002)
    assert failures == []
    assert seen == sequences() == list(range(1, count + 1))
    assert OutboxOrder.objects.values("identity").distinct().count() == LiquidationOrder.objects.count() == count


def test_reading_on_gives_what_follows_a_number_up_to_a_limit() -> None:
    live = store([liquidation(number) for number in range(10)])
    assert outbox_since(0, 100) == live
    assert outbox_since(4, 3) == live[4:7]
    assert outbox_since(10, 3) == []


def test_an_empty_outbox_has_a_head_of_zero() -> None:
    assert (outbox_head(), outbox_tail(), outbox_since(0, 10)) == (0, 1, [])


def test_what_was_stored_more_than_a_day_ago_is_forgotten_and_numbers_go_on() -> None:
    store([liquidation(number) for number in range(4)])
    now_ms = outbox.clock_ms()
    OutboxOrder.objects.filter(sequence__lte=2).update(stored_ms=now_ms - 26 * HOUR_MS)
    prune_outbox()
    assert sequences() == [3, 4]
    assert (outbox_head(), outbox_tail()) == (4, 3)
    assert outbox_prune(now_ms + 26 * HOUR_MS) == 2
    assert (outbox_head(), outbox_tail()) == (4, 5)
    assert [each.sequence for each in store([liquidation(9)])] == [5]
