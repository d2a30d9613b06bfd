"""The files of the benchmark's orders."""

import io
from pathlib import Path

from benchmarks.market import orders_generate
from benchmarks.table import recording_write
from liquidations.importing.formats.options import ReadOptions
from liquidations.importing.formats.recorder import read, recognises
from liquidations.importing.sources import Source


def test_the_recording_is_what_the_importer_takes_for_one_and_holds_every_order(tmp_path: Path) -> None:
    path = tmp_path / "recording.csv"
    orders = orders_generate(1000)

    recording_write(path, orders)

    source = Source(path.name, (path.name,), io.BytesIO(path.read_bytes()))
    assert recognises(source)
    read_back = [record.outcome for record in read(source, ReadOptions(quote="USDT"))]
    assert [order.symbol for order in read_back] == [orders.market.symbols[index] for index in orders.symbol]
    assert [order.order_trade_time for order in read_back] == orders.time_ms.tolist()
    assert [float(order.price) for order in read_back] == orders.price.round(8).tolist()
