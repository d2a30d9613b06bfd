from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("console", "0001_initial")]

    operations = [migrations.AddField("job", "told_at", models.DateTimeField(null=True))]
