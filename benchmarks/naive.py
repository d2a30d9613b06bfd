"""The original's queries, written from its contract, and their answers as JSON.

There is no HTTP and no framework around them, and mysqlclient is written in C where the original's driver is not: all
of that favours the original.
"""

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from benchmarks.table import TABLE
from liquidations.schema import COLUMNS

BATCH = 1000
SELECTED = ", ".join(COLUMNS)
BUCKETS = f"""SELECT symbol, FLOOR((order_trade_time - %s) / %s) * %s + %s AS bucket, side,
  SUM(average_price * order_filled_accumulated_quantity) AS cumulated_usd_size
FROM {TABLE} WHERE LOWER(symbol) = %s AND order_trade_time BETWEEN %s AND %s GROUP BY symbol, bucket, side"""
SYMBOLS = f"SELECT DISTINCT symbol FROM {TABLE} WHERE symbol NOT REGEXP '[0-9]+$' ORDER BY symbol"
LATEST = f"SELECT {SELECTED} FROM {TABLE} WHERE LOWER(symbol) = %s ORDER BY order_trade_time DESC LIMIT %s"
PAGE = f"""SELECT {SELECTED} FROM {TABLE} WHERE LOWER(symbol) = %s AND order_trade_time BETWEEN %s AND %s
ORDER BY order_trade_time DESC LIMIT %s OFFSET %s"""


@dataclass(frozen=True, slots=True)
class Original:
    """The original's reads over one connection with autocommit, as its pool has them."""

    connection: Any

    def rows(self, sql: str, *parameters: Any) -> list[tuple[Any, ...]]:
        with self.connection.cursor() as cursor:
            cursor.execute(sql, parameters)
            return list(cursor.fetchall())

    def buckets(self, symbol: str, timeframe_ms: int, start_ms: int, end_ms: int) -> bytes:
        window = (start_ms, timeframe_ms, timeframe_ms, start_ms, symbol.lower(), start_ms, end_ms)
        return compact([bucket(*row[1:]) for row in self.rows(BUCKETS, *window)])

    def symbols(self) -> bytes:
        return compact([symbol for (symbol,) in self.rows(SYMBOLS)])

    def latest(self, symbol: str, limit: int) -> bytes:
        return compact([order(row) for row in self.rows(LATEST, symbol.lower(), limit)])

    def page(self, symbol: str, start_ms: int, end_ms: int, page: int, page_size: int) -> bytes:
        offset = (page - 1) * page_size
        data = [order(row) for row in self.rows(PAGE, symbol.lower(), start_ms, end_ms, page_size, offset)]
        pagination = {
            "page": page,
            "page_size": page_size,
            "total_returned": len(data),
            "has_more": len(data) == page_size,
        }
        return compact({"data": data, "pagination": pagination})

    def stream(self, symbol: str, start_ms: int, end_ms: int, seconds: float) -> Iterator[bytes]:
        """One line for each order, in batches by OFFSET, each a transaction of its own; ends after ``seconds``."""
        deadline = time.monotonic() + seconds
        offset = 0
        while time.monotonic() < deadline:
            self.connection.begin()
            rows = self.rows(PAGE, symbol.lower(), start_ms, end_ms, BATCH, offset)
            self.connection.commit()
            yield from ((json.dumps(order(row)) + "\n").encode() for row in rows)
            if len(rows) < BATCH:
                return
            offset += BATCH


def bucket(start_ms: Decimal, side: str, notional: Decimal) -> dict[str, Any]:
    return {
        "timestamp": int(start_ms),
        "timestamp_iso": datetime.fromtimestamp(int(start_ms) / 1000, UTC).isoformat(),
        "side": side,
        "cumulated_usd_size": float(notional),
    }


def order(row: tuple[Any, ...]) -> dict[str, Any]:
    values = (float(value) if isinstance(value, Decimal) else value for value in row)
    return dict(zip(COLUMNS, values, strict=True))


def compact(body: Any) -> bytes:
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
