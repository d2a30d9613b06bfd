"""Pieces of SQL that reading and building share, so that both mean the same rows."""

from collections.abc import Sequence

from django.db import connection

# What makes up a sum; a row without one of them is in no bucket and no bar.
COUNTED = "average_price IS NOT NULL AND order_filled_accumulated_quantity IS NOT NULL AND side IS NOT NULL"


def window_condition(spellings: Sequence[str]) -> str:
    """Rows of the symbol in a time range; parameters: the spellings, then first and last ms, both included."""
    compared = "= %s" if len(spellings) == 1 else f"IN ({', '.join(['%s'] * len(spellings))})"
    return f"symbol {compared} AND order_trade_time BETWEEN %s AND %s"


def summed(expression: str) -> str:
    """SUM(…); SQLite adds whole numbers up in 64 bits and fails beyond them, so there they become floats first."""
    return f"SUM(1.0 * {expression})" if connection.vendor == "sqlite" else f"SUM({expression})"


def notional_sum() -> str:
    return summed("average_price * order_filled_accumulated_quantity")


def grouped() -> str:
    """GROUP BY the first two columns; told that no order is wanted, MariaDB leaves out a sort, and SQLite adds one."""
    return "GROUP BY 1, 2" if connection.vendor == "sqlite" else "GROUP BY 1, 2 ORDER BY NULL"


def integer_division() -> str:
    return "/" if connection.vendor == "sqlite" else "DIV"
