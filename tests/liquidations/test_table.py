"""The outside table as it is found: what it lacks, what is wrong with it, and that every query goes by an index."""

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
from django.db import connection

from liquidations import queries, schema
from liquidations.bars import bars_build
from liquidations.domain import DAY_MS, HOUR_MS, MAX_TIMESTAMP_MS, MINUTE_MS
from liquidations.queries import liquidation_buckets, orders_latest, orders_page, orders_stream, symbols_listed
from liquidations.table import TableUnusable, table_create, table_problem, table_profile, table_profile_reset
from tests.factories import T0, order
from tests.liquidations.outside import (
    LEGACY_INDEXES,
    MINIMAL,
    MYSQL,
    execute,
    insert_raw,
    legacy_columns,
    outside_table,
    stored_orders,
)

KEYLESS = MINIMAL.format(decimal="DECIMAL(30,10)")


# Making, and what is wrong ----------------------------------------------------------------------------------------


@pytest.fixture
def no_table(committed: None, settings: Any) -> Iterator[str]:
    """A name under which there is no table; one that is made there is dropped."""
    settings.DB_LIQ_TABLENAME = "new_liqs"
    table_profile_reset()
    execute("DROP TABLE IF EXISTS new_liqs")
    yield "new_liqs"
    execute("DROP TABLE IF EXISTS new_liqs")


def test_a_table_is_made_once_and_lacks_nothing(no_table: str) -> None:
    assert table_create() is True
    profile = table_profile()
    assert (profile.name, profile.has_identity, profile.lacks()) == (no_table, True, [])
    insert_raw([order()])
    assert table_create() is False
    assert len(stored_orders()) == 1


def test_an_existing_table_of_any_shape_is_left_as_it_is(committed: None) -> None:
    with outside_table("symbol VARCHAR(20)"):
        assert table_create() is False
        with pytest.raises(TableUnusable, match="lacks the columns side"):
            table_profile()


def test_a_missing_table_is_named_with_what_to_do(no_table: str) -> None:
    with pytest.raises(TableUnusable, match=r"table new_liqs does not exist .* liquidations_table --create"):
        liquidation_buckets("BTCUSDT", HOUR_MS, T0, T0 + DAY_MS)
    assert "new_liqs does not exist" in (table_problem() or "")


@pytest.mark.parametrize("column", ["average_price", "order_trade_time"])
def test_a_missing_column_is_named(committed: None, column: str) -> None:
    kept = ", ".join(part for part in re.split(r",\s*(?![^(]*\))", KEYLESS) if not part.startswith(column))
    with outside_table(kept) as name:
        with pytest.raises(TableUnusable, match=f"^table {name} lacks the column {column}$"):
            table_profile()
        assert table_problem() == f"table {name} lacks the column {column}"


def test_a_table_that_will_do_has_no_problem(committed: None) -> None:
    assert table_problem() is None
    with outside_table(f"venue VARCHAR(9), {KEYLESS}, extra INT"):
        assert table_problem() is None


def test_column_names_in_capitals_are_the_same_columns(committed: None) -> None:
    with outside_table(KEYLESS.replace("symbol", "SYMBOL").replace("average_price", "Average_Price")):
        insert_raw([order()])
        assert len(liquidation_buckets("BTCUSDT", HOUR_MS, T0, T0 + DAY_MS)) == 1


@pytest.mark.parametrize("columns", [KEYLESS, legacy_columns])
def test_an_outside_collectors_insert_without_column_names_keeps_working(
    no_table: str, columns: str | Callable[[], str]
) -> None:
    """What the collector's own table took, ours takes: on MySQL and MariaDB our further columns are invisible."""
    if connection.vendor == "sqlite":
        pytest.skip("SQLite has no invisible columns; its embedded table is liqui's own")
    table_create()
    values = ["BTCUSDT", "SELL", "LIMIT", "IOC", 1, 2, 3, "FILLED", 1, 1, T0]
    execute(f"INSERT INTO {no_table} VALUES ({', '.join(['%s'] * 11)})", values)
    assert len(execute(f"SELECT * FROM {no_table}")[0]) == 11


def test_what_each_kind_of_table_lacks(committed: None) -> None:
    everything = [schema.WINDOW_NAME, schema.TIME_NAME, schema.IDENTITY_NAME]
    with outside_table(KEYLESS):
        assert [lack.name for lack in table_profile().lacks()] == everything
    with outside_table(legacy_columns(), indexes=LEGACY_INDEXES):
        assert [lack.name for lack in table_profile().lacks()] == [schema.WINDOW_NAME, schema.IDENTITY_NAME]


# The right index --------------------------------------------------------------------------------------------------

Statement = tuple[str, Sequence[Any]]
TABLES = {"ours": None, "the collector's": LEGACY_INDEXES}


@pytest.fixture(params=TABLES.values(), ids=TABLES)
def filled_table(request: pytest.FixtureRequest, committed: None) -> Iterator[str]:
    """Some thousand orders, so that an optimizer would rather scan than search where it may, and bars."""
    if request.param is None:
        yield from filled("binance_liqs")
    else:
        with outside_table(legacy_columns(), indexes=request.param) as name:
            yield from filled(name)


def filled(name: str) -> Iterator[str]:
    symbols = ("BTCUSDT", "BTCUSDT", "BTCUSDT", "ETHUSDT", "SOLUSDT")
    insert_raw([order(T0 + n * 7 * MINUTE_MS, symbols[n % 5], ("BUY", "SELL")[n % 2]) for n in range(4000)])
    bars_build(T0 + 30 * DAY_MS)
    for table in (name, "liquidation_bars"):
        execute(f"ANALYZE TABLE {table}" if connection.vendor == "mysql" else f"ANALYZE {table}")
    yield name


QUESTIONS: dict[str, Callable[[], object]] = {
    "buckets from the table": lambda: liquidation_buckets("BTCUSDT", HOUR_MS, T0 + 1, T0 + 20 * DAY_MS),
    "buckets from bars": lambda: liquidation_buckets("BTCUSDT", HOUR_MS, T0, T0 + 20 * DAY_MS),
    "buckets from coarse and fine bars": lambda: liquidation_buckets(
        "BTCUSDT", 7 * DAY_MS, T0 + 61_001, T0 + 20 * DAY_MS, "epoch"
    ),
    "buckets of everything": lambda: liquidation_buckets("BTCUSDT", DAY_MS, 0, MAX_TIMESTAMP_MS),
    "the newest orders": lambda: orders_latest("BTCUSDT", 100),
    "a page of orders": lambda: orders_page("BTCUSDT", 0, MAX_TIMESTAMP_MS, 5, 100),
    "a stream of orders": lambda: orders_stream("BTCUSDT", 0, MAX_TIMESTAMP_MS),
    "the symbols": symbols_listed,
}


@pytest.fixture
def statements(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Statement]]:
    """Every SELECT that is sent, also through a stream, without its time limit."""
    sent: list[Statement] = []

    def keep(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        select = sql[sql.find("SELECT") :]
        if "SELECT" in sql and not any(word in sql for word in ("information_schema", "pragma_", "sqlite_master")):
            sent.append((select, list(params or ())))
        return execute(sql, params, many, context)

    def stream(sql: str, params: Sequence[Any], seconds: int) -> None:
        sent.append((sql, params))

    monkeypatch.setattr(queries, "RowStream", stream)
    with connection.execute_wrapper(keep):
        yield sent


@pytest.mark.contract("D060")
@pytest.mark.parametrize("question", QUESTIONS.values(), ids=QUESTIONS)
def test_every_statement_goes_by_an_index_and_none_sorts(
    filled_table: str, statements: list[Statement], question: Callable[[], object]
) -> None:
    table_profile()
    statements.clear()
    question()
    assert [sql for sql, _ in statements if filled_table in sql or "liquidation_bars " in sql]
    for sql, parameters in list(statements):
        problems = [problem for step in explain(sql, parameters) for problem in faults(step)]
        assert not problems, f"{problems}\n{sql}"


def explain(sql: str, parameters: Sequence[Any]) -> list[dict[str, Any]]:
    with connection.cursor() as cursor:
        cursor.execute(f"{'EXPLAIN QUERY PLAN' if connection.vendor == 'sqlite' else 'EXPLAIN'} {sql}", parameters)
        names = [column[0] for column in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def faults(step: dict[str, Any]) -> list[str]:
    """What is wrong with one step of a plan: a table read whole, or rows sorted."""
    if connection.vendor == "sqlite":
        detail = step["detail"]
        scan = re.match(r"SCAN (binance_liqs|outside_liqs|liquidation_\w+)\b(?!.* USING (COVERING )?INDEX)", detail)
        return [detail] if scan or "FOR ORDER BY" in detail else []
    found = [f"{step['table']}: {step['Extra']}"] if "filesort" in (step["Extra"] or "") else []
    # Results of parts ("<derived2>", "<union1,2>") are read whole, being results.
    if step["type"] == "ALL" and not step["table"].startswith("<"):
        found.append(f"{step['table']}: read whole")
    return found


@MYSQL
@pytest.mark.contract("D060")
def test_bucket_queries_over_our_table_touch_no_rows(committed: None, statements: list[Statement]) -> None:
    next(filled("binance_liqs"))
    statements.clear()
    liquidation_buckets("BTCUSDT", HOUR_MS, T0 + 1, T0 + 20 * DAY_MS)
    plans = [step for sql, parameters in list(statements) for step in explain(sql, parameters)]
    (step,) = [step for step in plans if step["table"] == "binance_liqs" and "average_price" in statements[-1][0]][-1:]
    assert (step["key"], step["type"]) == (schema.WINDOW_NAME, "range")
    assert "Using index" in step["Extra"]
