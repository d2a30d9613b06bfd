"""Bars and what says how far to trust them. The table of forced orders is not ours to make (managed = False)."""

from django.conf import settings
from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

TABLES = ("liquidation_bars", "liquidation_bars_stale")


def spell_all_symbols(apps: object, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """utf8mb4, compared by bytes, whatever the database's default is: MariaDB's is latin1, and 币安人生USDT exists."""
    if schema_editor.connection.vendor == "mysql":
        for table in TABLES:
            schema_editor.execute(f"ALTER TABLE {table} CONVERT TO CHARACTER SET utf8mb4 COLLATE utf8mb4_bin")


class Migration(migrations.Migration):
    initial = True

    dependencies = []

    operations = [
        migrations.CreateModel(
            name="LiquidationOrder",
            fields=[
                ("symbol", models.CharField(max_length=20)),
                ("side", models.CharField(max_length=4)),
                ("order_type", models.CharField(max_length=20)),
                ("time_in_force", models.CharField(max_length=5)),
                ("original_quantity", models.DecimalField(decimal_places=10, max_digits=30)),
                ("price", models.DecimalField(decimal_places=10, max_digits=30, null=True)),
                ("average_price", models.DecimalField(decimal_places=10, max_digits=30, null=True)),
                ("order_status", models.CharField(max_length=20)),
                ("order_last_filled_quantity", models.DecimalField(decimal_places=10, max_digits=30)),
                ("order_filled_accumulated_quantity", models.DecimalField(decimal_places=10, max_digits=30)),
                ("order_trade_time", models.BigIntegerField(primary_key=True, serialize=False)),
            ],
            options={"db_table": settings.DB_LIQ_TABLENAME, "managed": False},
        ),
        migrations.CreateModel(
            name="BarProgress",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("built_until_ms", models.BigIntegerField()),
            ],
            options={"db_table": "liquidation_bars_progress"},
        ),
        migrations.CreateModel(
            name="LiquidationBar",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "symbol",
                        "interval_ms",
                        "open_ms",
                        "side",
                        blank=True,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("symbol", models.CharField(max_length=64)),
                ("interval_ms", models.IntegerField()),
                ("open_ms", models.BigIntegerField()),
                ("side", models.CharField(max_length=16)),
                ("notional", models.DecimalField(decimal_places=30, max_digits=65)),
                ("quantity", models.DecimalField(decimal_places=30, max_digits=65)),
                ("count", models.BigIntegerField()),
                ("first_event_ms", models.BigIntegerField()),
                ("last_event_ms", models.BigIntegerField()),
            ],
            options={"db_table": "liquidation_bars"},
        ),
        migrations.CreateModel(
            name="StaleBarDay",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "symbol", "day_ms", blank=True, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("symbol", models.CharField(max_length=64)),
                ("day_ms", models.BigIntegerField()),
            ],
            options={"db_table": "liquidation_bars_stale"},
        ),
        migrations.RunPython(spell_all_symbols, migrations.RunPython.noop, atomic=False),
    ]
