"""The outbox and its counter, the gap ledger, and how the collectors are."""

from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

TABLES = ("stream_outbox", "stream_coverage", "collector_status")


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
            name="CollectorStatus",
            fields=[
                ("name", models.CharField(max_length=64, primary_key=True, serialize=False)),
                ("state", models.JSONField()),
                ("updated_ms", models.BigIntegerField()),
            ],
            options={
                "db_table": "collector_status",
            },
        ),
        migrations.CreateModel(
            name="StreamCounter",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("last", models.BigIntegerField()),
            ],
            options={
                "db_table": "stream_counter",
            },
        ),
        migrations.CreateModel(
            name="OutboxOrder",
            fields=[
                ("sequence", models.BigIntegerField(primary_key=True, serialize=False)),
                ("identity", models.CharField(max_length=64, unique=True)),
                ("symbol", models.CharField(max_length=64)),
                ("side", models.CharField(max_length=4)),
                ("notional", models.FloatField()),
                ("event_ms", models.BigIntegerField()),
                ("stored_ms", models.BigIntegerField(db_index=True)),
                ("text", models.TextField()),
            ],
            options={
                "db_table": "stream_outbox",
                "indexes": [models.Index(fields=["symbol", "sequence"], name="stream_outbox_symbol")],
            },
        ),
        migrations.CreateModel(
            name="StreamCoverage",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("venue", models.CharField(max_length=32)),
                ("stream", models.CharField(max_length=64)),
                ("collector", models.CharField(max_length=64)),
                ("started_ms", models.BigIntegerField()),
                ("until_ms", models.BigIntegerField()),
            ],
            options={
                "db_table": "stream_coverage",
                "indexes": [models.Index(fields=["stream", "until_ms"], name="stream_coverage_until")],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("collector", "stream", "venue", "started_ms"), name="stream_coverage_once"
                    )
                ],
            },
        ),
        migrations.RunPython(spell_all_symbols, migrations.RunPython.noop, atomic=False),
    ]
