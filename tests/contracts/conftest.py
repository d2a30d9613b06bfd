"""What the contract's tests share: asking, and the table as an outside collector makes it."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
from django.db import connection
from django.test import Client

from liquidations.schema import COLUMNS
from liquidations.table import table_profile_reset

Ask = Callable[..., Any]
InsertRows = Callable[[Sequence[Sequence[Any]]], None]

OUTSIDE_TABLE = "outside_liqs"
OUTSIDE_DDL = f"""CREATE TABLE {OUTSIDE_TABLE} (
    symbol VARCHAR(20), side VARCHAR(4), order_type VARCHAR(20), time_in_force VARCHAR(5),
    original_quantity DECIMAL(30,10), price DECIMAL(30,10), average_price DECIMAL(30,10), order_status VARCHAR(20),
    order_last_filled_quantity DECIMAL(30,10), order_filled_accumulated_quantity DECIMAL(30,10), order_trade_time BIGINT
)"""


@pytest.fixture
def ask(client: Client) -> Ask:
    """GET ``path`` with the keyword arguments as parameters; ``headers`` is a dict."""

    def ask(path: str, headers: dict[str, str] | None = None, **parameters: object) -> Any:
        return client.get(path, parameters, headers=headers)

    return ask


@pytest.fixture
def insert_outside(transactional_db: None, settings: Any) -> Iterator[InsertRows]:
    """The collector's table, without any key and with every column nullable, is the one served; fills it."""
    with connection.cursor() as cursor:
        cursor.execute(f"DROP TABLE IF EXISTS {OUTSIDE_TABLE}")
        cursor.execute(OUTSIDE_DDL + (" CHARACTER SET utf8mb4" if connection.vendor == "mysql" else ""))
    settings.DB_LIQ_TABLENAME = OUTSIDE_TABLE
    table_profile_reset()

    def insert(rows: Sequence[Sequence[Any]]) -> None:
        with connection.cursor() as cursor:
            cursor.executemany(
                f"INSERT INTO {OUTSIDE_TABLE} ({', '.join(COLUMNS)}) VALUES ({', '.join(['%s'] * len(COLUMNS))})", rows
            )

    yield insert
    with connection.cursor() as cursor:
        cursor.execute(f"DROP TABLE {OUTSIDE_TABLE}")
    table_profile_reset()
