"""The table of instruments, into which a plain INSERT of name, exchange, kind and activity is enough."""

from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor


def spell_all_symbols(apps: object, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """utf8mb4, compared by bytes, whatever the database's default is: MariaDB's is latin1, and 币安人生USDT exists."""
    if schema_editor.connection.vendor == "mysql":
        schema_editor.execute("ALTER TABLE symbols CONVERT TO CHARACTER SET utf8mb4 COLLATE utf8mb4_bin")


class Migration(migrations.Migration):
    initial = True

    dependencies = []

    operations = [
        migrations.CreateModel(
            name="InstrumentRow",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("symbol", models.CharField(max_length=64)),
                ("exchange", models.CharField(db_default="binance", max_length=32)),
                ("asset_type", models.CharField(db_default="CRYPTO", max_length=16)),
                ("base_asset", models.CharField(db_default="", max_length=32)),
                ("quote_asset", models.CharField(db_default="", max_length=32)),
                ("status", models.CharField(db_default="", max_length=32)),
                ("contract_type", models.CharField(db_default="", max_length=32)),
                ("tick_size", models.DecimalField(decimal_places=15, max_digits=30, null=True)),
                ("lot_size", models.DecimalField(decimal_places=15, max_digits=30, null=True)),
                ("is_active", models.BooleanField(db_default=True)),
                ("first_seen_ms", models.BigIntegerField(null=True)),
                ("last_seen_ms", models.BigIntegerField(null=True)),
            ],
            options={
                "db_table": "symbols",
                "constraints": [
                    models.UniqueConstraint(fields=("exchange", "symbol"), name="symbols_exchange_symbol"),
                ],
            },
        ),
        migrations.RunPython(spell_all_symbols, migrations.RunPython.noop, atomic=False),
    ]
