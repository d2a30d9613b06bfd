"""What Django's admin looks for at start: the model pages in our modules admin_*.py, and none that nobody needs."""

from importlib import import_module
from pkgutil import iter_modules

from django.contrib import admin
from django.contrib.auth.models import Group
from rest_framework_simplejwt.token_blacklist.models import BlacklistedToken, OutstandingToken

import console

# Roles are given on a user's page; refresh tokens end with it, or by signing out.
for model in (Group, BlacklistedToken, OutstandingToken):
    admin.site.unregister(model)

for module in iter_modules(console.__path__):
    if module.name.startswith("admin_"):
        import_module(f"console.{module.name}")
