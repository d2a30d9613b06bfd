"""The groups that stand for roles."""

from typing import Any

from django.db import migrations

NAMES = ("viewer", "operator", "administrator")


def make(apps: Any, schema_editor: Any) -> None:
    for name in NAMES:
        apps.get_model("auth", "Group").objects.get_or_create(name=name)


def remove(apps: Any, schema_editor: Any) -> None:
    apps.get_model("auth", "Group").objects.filter(name__in=NAMES).delete()


class Migration(migrations.Migration):
    dependencies = [("accounts", "0001_initial"), ("auth", "0012_alter_user_first_name_max_length")]
    operations = [migrations.RunPython(make, remove)]
