"""The tables of candles. In each a 1m is another timeframe than 1M, and 币安人生USDT a symbol: utf8mb4, by bytes."""

from typing import Any

from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

PRICE: Any = {"max_digits": 30, "decimal_places": 15}
AMOUNT: Any = {"max_digits": 40, "decimal_places": 15}
TABLES = ("candles", "candles_stale", "candles_to_repair")


def key(*names: str) -> tuple[str, Any]:
    return "pk", models.CompositePrimaryKey(*names, blank=True, editable=False, primary_key=True, serialize=False)


def whose() -> list[tuple[str, Any]]:
    return [("venue", models.CharField(max_length=32)), ("symbol", models.CharField(max_length=64))]


def compare_by_bytes(apps: object, schema_editor: BaseDatabaseSchemaEditor) -> None:
    if schema_editor.connection.vendor == "mysql":
        for table in TABLES:
            schema_editor.execute(f"ALTER TABLE {table} CONVERT TO CHARACTER SET utf8mb4 COLLATE utf8mb4_bin")


class Migration(migrations.Migration):
    dependencies = [("marketdata", "0002_instrument_figures")]

    operations = [
        migrations.CreateModel(
            name="CandleRow",
            fields=[
                key("venue", "symbol", "timeframe", "open_ms"),
                *whose(),
                ("timeframe", models.CharField(max_length=3)),
                ("open_ms", models.BigIntegerField()),
                *((name, models.DecimalField(**PRICE)) for name in ("open", "high", "low", "close")),
                ("volume", models.DecimalField(**AMOUNT)),
                ("quote_volume", models.DecimalField(**AMOUNT, null=True)),
                ("taker_buy_volume", models.DecimalField(**AMOUNT, null=True)),
                ("taker_buy_quote_volume", models.DecimalField(**AMOUNT, null=True)),
                ("trade_count", models.BigIntegerField(null=True)),
                ("is_closed", models.BooleanField()),
                ("is_empty", models.BooleanField()),
                ("source", models.CharField(max_length=8)),
                ("precedence", models.SmallIntegerField()),
            ],
            options={"db_table": "candles"},
        ),
        migrations.CreateModel(
            name="StaleCandles",
            fields=[
                key("venue", "symbol", "timeframe", "open_ms"),
                *whose(),
                ("timeframe", models.CharField(max_length=3)),
                ("open_ms", models.BigIntegerField()),
            ],
            options={"db_table": "candles_stale"},
        ),
        migrations.CreateModel(
            name="CandleToRepair",
            fields=[key("venue", "symbol", "open_ms"), *whose(), ("open_ms", models.BigIntegerField())],
            options={"db_table": "candles_to_repair"},
        ),
        migrations.RunPython(compare_by_bytes, migrations.RunPython.noop, atomic=False),
    ]
