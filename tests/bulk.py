"""Many rows at once, made inside the database, past our own writers and therefore unknown to the bars."""

from typing import Any

from django.conf import settings
from django.db import connection

from liquidations.schema import COLUMNS
from tests.factories import T0


def rows_fill(count: int, symbol: str = "BTCUSDT", start_ms: int = T0, step_ms: int = 1000, cursor: Any = None) -> None:
    """Insert ``count`` orders, one every ``step_ms``, sides alternating; average price 100, filled quantity 0.5.

    ``cursor`` is of another database than the tests' own.
    """
    digits = max(len(str(count - 1)), 1)
    tens = " CROSS JOIN ".join(
        f"({' UNION ALL '.join(f'SELECT {digit} AS d{place}' for digit in range(10))}) AS p{place}"
        for place in range(digits)
    )
    number = " + ".join(f"d{place} * {10**place}" for place in range(digits))
    # Newest at the end of the table and of its indexes.
    numbers = f"SELECT {number} AS n FROM {tens} WHERE {number} < {count} ORDER BY n"
    insert = (
        f"INSERT INTO {settings.DB_LIQ_TABLENAME} ({', '.join(COLUMNS)}) "
        "SELECT %s, CASE WHEN n %% 2 = 0 THEN 'SELL' ELSE 'BUY' END, 'LIMIT', 'IOC', 0.5, 101.25, 100, 'FILLED', "
        f"0.25, 0.5, %s + n * %s FROM ({numbers}) AS numbers"
    )
    values = [symbol, start_ms, step_ms]
    if cursor is None:
        with connection.cursor() as own:
            own.execute(insert, values)
    else:
        cursor.execute(insert, values)
