"""The WSGI application, for production's REST workers: ``granian --interface wsgi liqui.wsgi:application``."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "liqui.settings")
django = get_wsgi_application()

from liqui import startup  # noqa: E402
from liqui.hits import HitsFirst  # noqa: E402

startup.prepare()
application = HitsFirst(django)
