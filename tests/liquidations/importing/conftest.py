"""A writer that keeps its table in memory, and ways to run files and bytes through an import."""

import io
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from liquidations.importing.formats import ReadOptions, records_of
from liquidations.importing.outcomes import Record
from liquidations.importing.run import Importer
from liquidations.importing.sources import Source, files_find
from liquidations.types import ForcedOrder, WriteResult


class TableInMemory:
    """Merges by identity as `orders_write` does; ``fail_after`` lets that many batches through, then raises."""

    def __init__(self) -> None:
        self.rows: dict[tuple, ForcedOrder] = {}
        self.fail_after: int | None = None

    def __call__(self, orders: Sequence[ForcedOrder]) -> WriteResult:
        if self.fail_after is not None:
            if self.fail_after == 0:
                raise ConnectionError("the database went away")
            self.fail_after -= 1
        inserted = completed = 0
        for order in orders:
            identity = (order.symbol, order.side, order.order_trade_time, order.original_quantity, order.price)
            known = self.rows.setdefault(identity, order)
            if known is order:
                inserted += 1
            elif known.average_price is None and order.average_price is not None:
                self.rows[identity] = known._replace(average_price=order.average_price)
                completed += 1
        return WriteResult(inserted, completed, len(orders) - inserted - completed)


@pytest.fixture
def table() -> TableInMemory:
    return TableInMemory()


@pytest.fixture
def import_paths(table: TableInMemory) -> Callable[..., Importer]:
    """Imports paths into ``table`` and gives the importer, with its summary."""

    def run(*paths: Path | str, format: str | None = None, batch_rows: int = 100, **options) -> Importer:
        importer = Importer(table, batch_rows=batch_rows)
        importer.take_files(files_find(map(str, paths)), ReadOptions(**options), format)
        return importer

    return run


@pytest.fixture
def read() -> Callable[..., list[Record]]:
    """The records of some bytes, by the format recognised or named."""

    def run(content: bytes | str, name: str = "file", format: str | None = None, **options) -> list[Record]:
        content = content.encode() if isinstance(content, str) else content
        return list(records_of(Source(name, (name,), io.BytesIO(content)), ReadOptions(**options), format))

    return run
