"""The orders of `market` as files, and as the table that an outside collector keeps: its columns and five indexes."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.market import Orders

TABLE = "binance_liqs"
CREATE = f"""CREATE TABLE {TABLE} (
  id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
  symbol VARCHAR(20), side VARCHAR(4), order_type VARCHAR(20), time_in_force VARCHAR(5),
  original_quantity DECIMAL(30,10), price DECIMAL(30,10), average_price DECIMAL(30,10), order_status VARCHAR(20),
  order_last_filled_quantity DECIMAL(30,10), order_filled_accumulated_quantity DECIMAL(30,10), order_trade_time BIGINT
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4"""
INDEXES = f"""ALTER TABLE {TABLE}
  ADD INDEX idx_symbol_order_trade_time (symbol, order_trade_time DESC),
  ADD INDEX idx_symbol_time_side (symbol, order_trade_time, side),
  ADD INDEX idx_symbol (symbol),
  ADD INDEX idx_order_trade_time (order_trade_time DESC),
  ADD INDEX idx_symbol_time_usd (symbol, order_trade_time, average_price, order_filled_accumulated_quantity)"""
LOADED = (
    "symbol, side, order_type, time_in_force, original_quantity, price, average_price, order_status, "
    "order_last_filled_quantity, order_filled_accumulated_quantity, order_trade_time"
)
ROWS_AT_ONCE = 200_000
# "%.*f": as many decimal places as the symbol's tick and quantity step have.
LINE = "%s\t%s\tLIMIT\tIOC\t%.*f\t%.*f\t%.*f\t%s\t%.*f\t%.*f\t%d\n"
RECORDER_LINE = "%s,%s,LIMIT,IOC,%.*f,%.*f,%.*f,%s,%.*f,%.*f,%d,%.2f\n"
QUANTITY, PRICE = 3, 5  # where they are in a row of `rows_of`


def table_fill(connection: Any, orders: Orders, folder: Path) -> None:
    """Make the table in the connection's database, with ``orders`` in it; ``folder`` holds the rows meanwhile."""
    path = folder / "orders.tsv"
    with open(path, "w") as file:
        for rows in rows_of(orders, orders.market.symbols):
            file.write("".join([LINE % row for row in rows]))
    with connection.cursor() as cursor:
        cursor.execute(CREATE)
        cursor.execute("SET unique_checks = 0")
        cursor.execute(f"LOAD DATA LOCAL INFILE %s INTO TABLE {TABLE} ({LOADED})", [str(path)])
        connection.commit()
        path.unlink()
        cursor.execute(INDEXES)
        cursor.execute(f"ANALYZE TABLE {TABLE}")
        cursor.fetchall()


def recording_write(path: Path, orders: Orders) -> None:
    """The orders as the 12-column CSV of recorder scripts, whose symbols lack the quote asset."""
    short = [symbol.replace("USDT", "") for symbol in orders.market.symbols]
    with open(path, "w") as file:
        for rows in rows_of(orders, short):
            file.write("".join([RECORDER_LINE % (*row, row[QUANTITY] * row[PRICE]) for row in rows]))


def rows_of(orders: Orders, symbols: list[str]) -> Iterator[Iterator[tuple[Any, ...]]]:
    """Portions of rows as `LINE` takes them: in the table's column order, each number after its decimal places."""
    names = np.array(symbols, dtype=object)
    sides = np.array(["BUY", "SELL"], dtype=object)
    states = np.array(["FILLED", "PARTIALLY_FILLED"], dtype=object)
    for first in range(0, len(orders), ROWS_AT_ONCE):
        part = slice(first, first + ROWS_AT_ONCE)
        symbol = orders.symbol[part]
        is_partial = orders.filled[part] < orders.quantity[part]
        price_digits, quantity_digits = orders.market.price_digits[symbol], orders.market.quantity_digits[symbol]
        columns = (
            *(names[symbol], sides[orders.is_sell[part].astype(int)]),
            *(quantity_digits, orders.quantity[part]),
            *(price_digits, orders.price[part]),
            *(price_digits, orders.average_price[part]),
            states[is_partial.astype(int)],
            *(quantity_digits, orders.last_filled[part]),
            *(quantity_digits, orders.filled[part]),
            orders.time_ms[part],
        )
        yield zip(*(column.tolist() for column in columns), strict=True)
