"""The spool: nothing that was appended is lost, whatever becomes of the process; nothing else comes out."""

import zlib
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketdata.types import Liquidation
from streams.collecting import spool as module
from streams.collecting.spool import Spool
from tests.streams.collecting.orders import liquidation, liquidations

MB = 1 << 20


def filled(folder: Path, orders: Sequence[Liquidation], segment_bytes: int = MB) -> Spool:
    spool = Spool(folder, 100 * MB, segment_bytes)
    for order in orders:
        assert spool.append(order) == spool.appended
    return spool


def drained(spool: Spool, at_once: int = 7) -> list[Liquidation]:
    found: list[Liquidation] = []
    while batch := spool.read(at_once):
        found += batch
        spool.commit()
    return found


@given(
    orders=st.lists(liquidations, max_size=20),
    segment_bytes=st.integers(1, 2000),
    at_once=st.integers(1, 9),
    committed=st.integers(0, 20),
)
def test_a_new_process_finds_everything_that_was_not_committed_in_order(
    orders: list[Liquidation],
    segment_bytes: int,
    at_once: int,
    committed: int,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    folder = tmp_path_factory.mktemp("spool")
    spool = filled(folder, orders, segment_bytes)
    assert spool.read(committed) == orders[:committed]
    done = spool.commit()
    assert done == min(committed, len(orders))
    again = Spool(folder, 100 * MB, segment_bytes)
    left = drained(again, at_once)
    # Segments leave whole: some that were stored may come again, what was not stored is there, in its order.
    assert left[len(left) - (len(orders) - done) :] == orders[done:]
    assert again.pending == 0


@given(orders=st.lists(liquidations, min_size=1, max_size=8), data=st.data())
def test_a_crash_at_any_byte_loses_nothing_that_was_flushed_and_never_yields_garbage(
    orders: list[Liquidation], data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("spool")
    filled(folder, orders)
    (path,) = folder.glob("*.spool")
    whole, ends = path.read_bytes(), [end for _, end in module.records(path.read_bytes())]
    cut = data.draw(st.integers(0, len(whole)))
    # What the file system makes of the rest: nothing, zeros, or anything at all.
    tail = data.draw(st.sampled_from([b"", bytes(len(whole) - cut)]) | st.binary(max_size=60))
    path.write_bytes(whole[:cut] + tail)
    survived = sum(end <= cut for end in ends)
    found = drained(Spool(folder, 100 * MB))
    assert found[:survived] == orders[:survived]
    assert all(order in orders for order in found)


def test_a_new_process_appends_behind_a_torn_end(tmp_path: Path) -> None:
    first, second, third = (liquidation(number) for number in range(3))
    filled(tmp_path, [first, second])
    (path,) = tmp_path.glob("*.spool")
    path.write_bytes(path.read_bytes()[:-3])
    again = Spool(tmp_path, 100 * MB)
    assert (again.pending, again.torn_bytes > 0) == (1, True)
    again.append(third)
    assert drained(again) == [first, third]


def test_what_cannot_be_understood_is_set_aside_once_and_the_rest_is_read(tmp_path: Path) -> None:
    first, second, third = (liquidation(number) for number in range(3))
    filled(tmp_path, [first, second])
    (path,) = tmp_path.glob("*.spool")
    begin = path.read_bytes()
    payload = module.encode({"an order": "of another version"})
    strange = module.HEADER.pack(len(payload), zlib.crc32(payload)) + payload
    path.write_bytes(begin + strange + module.record(third) + b"torn")
    again = Spool(tmp_path, 100 * MB)
    assert (again.unreadable, again.pending, again.torn_bytes) == (1, 3, 4)
    assert Spool(tmp_path, 100 * MB).unreadable == 0
    assert drained(again) == [first, second, third]
    assert path.with_suffix(".unreadable").read_bytes() == strange


def test_reading_again_without_a_commit_gives_the_same_orders(tmp_path: Path) -> None:
    orders = [liquidation(number) for number in range(5)]
    spool = filled(tmp_path, orders, segment_bytes=400)
    assert spool.read(3) == spool.read(3) == orders[:3]
    spool.commit()
    assert spool.read(9) == orders[3:]


def test_files_are_removed_as_their_orders_are_stored(tmp_path: Path) -> None:
    spool = filled(tmp_path, [liquidation(number) for number in range(50)], segment_bytes=400)
    assert len(list(tmp_path.glob("*.spool"))) > 10
    drained(spool)
    assert len(list(tmp_path.glob("*.spool"))) == 1
    spool.close()
    assert list(tmp_path.glob("*.spool")) == []


def test_what_is_not_stored_stays_when_it_is_closed(tmp_path: Path) -> None:
    orders = [liquidation(number) for number in range(3)]
    filled(tmp_path, orders).close()
    assert drained(Spool(tmp_path, MB)) == orders


def test_beyond_its_limit_orders_wait_in_memory_and_beyond_that_they_are_counted_as_dropped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MEMORY_ORDERS", 5)
    spool = Spool(tmp_path, 1000)
    orders = [liquidation(number) for number in range(50)]
    kept = [order for order in orders if spool.append(order) is not None]
    assert spool.size <= 1000
    assert spool.is_near_full
    assert spool.dropped == 50 - len(kept) > 30
    assert drained(spool) == kept
    assert not spool.is_near_full
    # There is room again.
    assert spool.append(liquidation(99)) is not None


def test_without_room_on_the_disk_nothing_is_written_and_memory_takes_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Spool, "free_bytes", lambda self: 1000)
    orders = [liquidation(number) for number in range(20)]
    spool = filled(tmp_path, orders)
    assert (spool.size, spool.is_near_full, list(tmp_path.glob("*.spool"))) == (0, True, [])
    assert drained(spool) == orders


def test_a_folder_that_is_gone_is_a_full_one(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool", MB)
    (tmp_path / "spool").rmdir()
    orders = [liquidation(number) for number in range(3)]
    assert [spool.append(order) for order in orders] == [1, 2, 3]
    assert (spool.free_bytes(), spool.is_near_full) == (0, True)
    assert drained(spool) == orders
