"""What a sync remembers of instruments that the user has switched off."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("marketdata", "0003_candles")]

    operations = [migrations.AddField("instrumentrow", "is_switched_off", models.BooleanField(db_default=False))]
