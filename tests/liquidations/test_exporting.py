"""A stream's chunks, whatever the batches are; and what becomes of its slot."""

import asyncio
import json
import random
import threading
from collections.abc import Callable, Sequence
from contextlib import aclosing
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.errors import TooManyStreams
from liquidations import exporting
from liquidations.exporting import AsyncOrderExport, OrderExport, in_order, split_last_millisecond
from liquidations.queries import sorted_newest_first
from liquidations.schema import COLUMNS
from tests.bulk import rows_fill
from tests.factories import T0

Write = Callable[..., Any]
END = T0 + 10**9


def row(at: int, number: int) -> tuple[Any, ...]:
    values = {"symbol": "BTCUSDT", "side": "SELL", "original_quantity": Decimal(number), "order_trade_time": at}
    return tuple(values.get(name) for name in COLUMNS)


def as_text(rows: Sequence[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """As a server-side cursor gives them: decimals are text."""
    return [tuple(str(value) if isinstance(value, Decimal) else value for value in values) for values in rows]


tables = st.lists(st.tuples(st.integers(0, 8), st.integers(1, 120)), max_size=60, unique=True).map(
    lambda pairs: [row(T0 + at, number) for at, number in pairs]
)


@given(tables, st.integers(1, 9), st.booleans(), st.randoms(use_true_random=False))
def test_batches_of_any_size_give_the_order_of_the_pages(
    rows: list[tuple[Any, ...]], size: int, is_text: bool, chance: random.Random
) -> None:
    chance.shuffle(rows)
    by_time = sorted(rows, key=lambda values: -values[-1])  # in one millisecond as it happens, as the server does it
    by_time = as_text(by_time) if is_text else by_time
    held: list[tuple[Any, ...]] = []
    sent: list[tuple[Any, ...]] = []
    for begin in range(0, len(by_time) + size, size):
        batch = by_time[begin : begin + size]
        complete, held = split_last_millisecond([*held, *batch], is_end=not batch)
        sent += in_order(complete)
    expected = sorted_newest_first(rows)
    assert sent + list(in_order(held)) == (as_text(expected) if is_text else expected)


def test_an_export_gives_its_slot_back_once_however_it_ends(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    rows_fill(1000)
    slots = threading.BoundedSemaphore(1)
    monkeypatch.setattr(exporting, "slots", slots)
    for end in (
        lambda export: list(export),
        OrderExport.close,
        OrderExport.interrupt,
        lambda export: next(iter(export)),
    ):
        export = OrderExport("BTCUSDT", T0, END, 100, as_strings=False)
        with pytest.raises(TooManyStreams):
            OrderExport("BTCUSDT", T0, END, 100, as_strings=False)
        end(export)
        export.close()
        export.close()
    assert slots.acquire(blocking=False)


def test_an_export_that_cannot_begin_takes_no_slot(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    slots = threading.BoundedSemaphore(1)
    monkeypatch.setattr(exporting, "slots", slots)

    def fails(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(exporting, "orders_stream", fails)
    with pytest.raises(ZeroDivisionError):
        OrderExport("BTCUSDT", T0, END, 100, as_strings=False)
    assert slots.acquire(blocking=False)


def test_an_asynchronous_server_gets_the_same_bytes(write: Write) -> None:
    rows_fill(2500)
    synchronous = b"".join(new_export())
    export = new_export()

    async def collected() -> bytes:
        return b"".join([chunk async for chunk in AsyncOrderExport(export)])

    assert asyncio.run(collected()) == synchronous
    assert len(synchronous.splitlines()) == 2500


def test_an_asynchronous_reader_that_leaves_ends_the_export(write: Write) -> None:
    rows_fill(2500)
    export = new_export()

    async def leaves() -> None:
        async with aclosing(AsyncOrderExport(export).__aiter__()) as chunks:
            await anext(chunks)

    asyncio.run(leaves())
    assert export.is_closed


def test_the_first_chunk_is_small_and_every_chunk_whole_lines(write: Write) -> None:
    rows_fill(1500)
    chunks = list(new_export())
    assert chunks[0].count(b"\n") <= exporting.FIRST_ROWS
    assert all(chunk.endswith(b"\n") for chunk in chunks)
    assert [json.loads(line)["order_trade_time"] for line in b"".join(chunks).splitlines()] == [
        T0 + 1000 * at for at in reversed(range(1500))
    ]


def new_export() -> OrderExport:
    return OrderExport("BTCUSDT", T0, END, 500, as_strings=False)
