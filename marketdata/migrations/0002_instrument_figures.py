"""What terminals show of an instrument. Every new column may be left out of an INSERT, like those before it."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("marketdata", "0001_initial")]

    operations = [
        migrations.AddField("instrumentrow", "exchange_form", models.CharField(db_default="", max_length=128)),
        migrations.AddField("instrumentrow", "price_precision", models.SmallIntegerField(null=True)),
        migrations.AddField("instrumentrow", "quantity_precision", models.SmallIntegerField(null=True)),
        migrations.AddField(
            "instrumentrow", "last_price", models.DecimalField(decimal_places=18, max_digits=44, null=True)
        ),
        migrations.AddField(
            "instrumentrow", "volume_24h", models.DecimalField(decimal_places=10, max_digits=36, null=True)
        ),
        migrations.AddField("instrumentrow", "volume_at_ms", models.BigIntegerField(null=True)),
    ]
