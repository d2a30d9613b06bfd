"""`manage.py liquidations_table` and `manage.py liquidation_bars`."""

import io
import sqlite3
from collections.abc import Iterator
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from liquidations import bars, schema
from liquidations.bars import bars_build
from liquidations.domain import DAY_MS
from liquidations.models import LiquidationBar, StaleBarDay
from liquidations.services import orders_write
from liquidations.table import current_dialect, table_profile, table_profile_reset
from tests.factories import T0, order
from tests.liquidations.law import assert_law
from tests.liquidations.outside import (
    LEGACY_INDEXES,
    MINIMAL,
    MYSQL,
    execute,
    insert_raw,
    legacy_columns,
    outside_table,
    stored_orders,
    table_options,
)

NOW = T0 + 10 * DAY_MS
KEYLESS = MINIMAL.format(decimal="DECIMAL(30,10)")


def run(*arguments: str) -> str:
    """Run a command; what it prints."""
    out = io.StringIO()
    call_command(*arguments, stdout=out, stderr=out)
    return out.getvalue()


def statements(printed: str) -> list[str]:
    """The SQL in what was printed, as a client would split it."""
    sql = "\n".join(line for line in printed.splitlines() if not line.startswith(("--", "Warning")))
    return [statement for statement in sql.split(";") if statement.strip()]


# liquidations_table -----------------------------------------------------------------------------------------------


@pytest.fixture
def new_name(committed: None, settings: Any) -> Iterator[str]:
    settings.DB_LIQ_TABLENAME = "new_liqs"
    table_profile_reset()
    execute("DROP TABLE IF EXISTS new_liqs")
    yield "new_liqs"
    execute("DROP TABLE IF EXISTS new_liqs")


def test_create_makes_the_table_and_leaves_it_the_second_time(new_name: str) -> None:
    assert run("liquidations_table", "--create") == "Table new_liqs: made.\n"
    assert orders_write([order()]).inserted == 1
    assert "exists already and is left as it is" in run("liquidations_table", "--create")
    assert len(stored_orders()) == 1
    assert run("liquidations_table", "--check") == "-- Table new_liqs lacks nothing.\n"


@pytest.mark.parametrize("make", ["keyless", "legacy", "DECIMAL(38,18)", "DECIMAL(20,8)"])
def test_the_sql_that_check_prints_leaves_nothing_lacking(committed: None, make: str) -> None:
    columns = (
        legacy_columns() if make == "legacy" else KEYLESS.replace("DECIMAL(30,10)", make) if "(" in make else KEYLESS
    )
    with outside_table(columns, indexes=LEGACY_INDEXES if make == "legacy" else ()):
        insert_raw([order(), order(T0 + 1, price=None), order(T0 + 2, quantity=None, filled=1)])
        printed = run("liquidations_table", "--check")
        assert "lacks nothing" not in printed
        for statement in statements(printed):
            execute(statement)
        table_profile_reset()
        assert "lacks nothing" in run("liquidations_table", "--check")
        assert table_profile().has_identity
        again = orders_write(
            [order(), order(T0 + 1, price=None), order(T0 + 2, quantity=None, filled=1), order(T0 + 3)]
        )
        assert (again.inserted, again.duplicates) == (1, 3)


def test_check_alters_nothing(committed: None) -> None:
    with outside_table(KEYLESS):
        run("liquidations_table", "--check")
        table_profile_reset()
        assert table_profile().indexes == {}


def test_check_prints_a_query_that_counts_the_copies_in_the_way(committed: None) -> None:
    with outside_table(KEYLESS):
        insert_raw([order(), order(), order(price=None), order(price=None), order(T0 + 1)])
        printed = run("liquidations_table", "--check")
        (query,) = [line for line in printed.splitlines() if "COUNT(*)" in line]
        assert execute(query.removeprefix("-- ").removesuffix(";")) == [(2,)]


@MYSQL
def test_check_warns_of_latin1(committed: None) -> None:
    with outside_table(KEYLESS, table_options("latin1")):
        assert "Warning: Column symbol of outside_liqs is latin1" in run("liquidations_table", "--check")


@pytest.mark.parametrize("command", [("liquidations_table", "--check"), ("liquidation_bars", "build")])
def test_a_missing_table_is_one_clear_line(new_name: str, command: tuple[str, ...]) -> None:
    bars.bars_advance(0)
    with pytest.raises(CommandError, match="table new_liqs does not exist"):
        run(*command)


def test_the_printed_sql_runs_on_this_server(new_name: str) -> None:
    for statement in statements(run("liquidations_table", "--sql", current_dialect())):
        execute(statement)
    assert table_profile().lacks() == []


def test_the_printed_sql_for_sqlite_runs_on_sqlite(new_name: str) -> None:
    with sqlite3.connect(":memory:") as database:
        database.executescript(run("liquidations_table", "--sql", "sqlite"))
        names = {name for (name,) in database.execute("SELECT name FROM sqlite_master")}
    parts = (schema.WINDOW_NAME, schema.TIME_NAME, schema.IDENTITY_NAME)
    assert {new_name, *(schema.index_name(part, new_name, "sqlite") for part in parts)} <= names


def test_the_sql_for_mysql_differs_from_mariadbs_in_the_word_for_stored_columns_alone() -> None:
    """MySQL 8 says STORED; PERSISTENT is MariaDB's older word for it."""
    mysql, mariadb = run("liquidations_table", "--sql", "mysql"), run("liquidations_table", "--sql", "mariadb")
    assert mysql != mariadb
    assert mysql == mariadb.replace("PERSISTENT", "STORED")
    types = {"original_quantity": "DECIMAL(20,8)", "price": "DECIMAL(20,8)"}
    lacks = [schema.lacks("liqs", dialect, {}, types) for dialect in ("mysql", "mariadb")]
    for ours, theirs in zip(*lacks, strict=True):
        assert ours.sql == theirs.sql.replace("PERSISTENT", "STORED")


def test_what_to_do_must_be_said_and_only_one_thing() -> None:
    for arguments in ((), ("--create", "--check"), ("--sql", "oracle")):
        with pytest.raises(CommandError):
            run("liquidations_table", *arguments)


# liquidation_bars -------------------------------------------------------------------------------------------------


@pytest.fixture
def clock(committed: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bars, "clock_ms", lambda: NOW)
    monkeypatch.setattr("liquidations.management.commands.liquidation_bars.clock_ms", lambda: NOW)


def test_status_before_and_after_the_first_build(clock: None) -> None:
    assert "have not been built yet" in run("liquidation_bars", "status")
    insert_raw([order()])
    assert "Bars are built until 2024-01-10T23:00:00+00:00, 3600 s behind the clock" in run("liquidation_bars", "build")
    assert LiquidationBar.objects.count() == 3
    orders_write([order(T0 + 1)])
    assert "1 days of 1 symbols wait to be built." in run("liquidation_bars", "status")


def test_rebuild_makes_bars_of_a_symbol_and_window_again(clock: None) -> None:
    insert_raw([order(T0 + day * DAY_MS, symbol) for day in range(3) for symbol in ("BTCUSDT", "ETHUSDT")])
    bars_build(NOW)
    LiquidationBar.objects.update(notional=1)
    run("liquidation_bars", "rebuild", "--symbol", "btcusdt", "--since", "2024-01-02", "--until", "2024-01-03")
    right = set(LiquidationBar.objects.exclude(notional=1).values_list("symbol", "open_ms").distinct())
    assert right == {("BTCUSDT", T0 + DAY_MS)}
    run("liquidation_bars", "rebuild")
    assert not LiquidationBar.objects.filter(notional=1).exists()
    assert not StaleBarDay.objects.exists()


def test_verify_says_that_all_is_well(clock: None) -> None:
    insert_raw([order()])
    bars_build(NOW)
    assert run("liquidation_bars", "verify") == "Every bar equals the table.\n"


def test_verify_fails_with_status_1_and_repair_leads_to_right_bars(clock: None) -> None:
    insert_raw([order(), order(T0 + 1)])
    bars_build(NOW)
    execute("DELETE FROM binance_liqs WHERE order_trade_time = %s", [T0])
    with pytest.raises(CommandError, match="1 days differ from the table; --repair") as failure:
        run("liquidation_bars", "verify")
    assert failure.value.returncode == 1
    with pytest.raises(CommandError, match="they are marked to be built again"):
        run("liquidation_bars", "verify", "--repair")
    run("liquidation_bars", "build")
    assert run("liquidation_bars", "verify") == "Every bar equals the table.\n"
    assert_law("BTCUSDT", DAY_MS, T0, NOW, "start")


def test_an_unreadable_window_is_one_clear_line(clock: None) -> None:
    with pytest.raises(CommandError, match=r"^--since and --until: .*yesterday"):
        run("liquidation_bars", "verify", "--since", "yesterday")
