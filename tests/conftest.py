"""Fixtures for all tests: the table of forced orders beside Django's own test database."""

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from django.conf import settings
from django.db import connection
from pytest_django import DjangoDbBlocker

from accounts.believed import forget
from cachemgmt import caching, hits
from cachemgmt.stores import store
from liquidations.caching import announced
from liquidations.services import orders_write
from liquidations.table import table_create, table_profile_reset
from liquidations.types import ForcedOrder, WriteResult
from marketdata.symbols.service import symbols_reset
from marketdata.venue import venue_reset
from streams import instruments
from tests.live import wait_for_news

pytest_plugins = ["tests.plugin_live", "tests.plugin_servers", "tests.plugin_market"]

hypothesis.settings.register_profile("test", deadline=None, max_examples=30, print_blob=True)
hypothesis.settings.register_profile("soak", deadline=None, max_examples=1000, print_blob=True)
hypothesis.settings.load_profile("soak" if os.environ.get("LIQUI_SOAK") else "test")


def pytest_configure() -> None:
    """Static files are looked up when asked for: a test client would look at all of them first, a thousand times."""
    settings.WHITENOISE_AUTOREFRESH = True


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> None:
    """Django's test runner does not make unmanaged tables."""
    with django_db_blocker.unblock():
        table_create()


@pytest.fixture(autouse=True)
def forgotten_tables() -> None:
    """What one test knew of the tables is not true in the next."""
    table_profile_reset()
    instruments.known = {}
    symbols_reset()
    venue_reset()


@pytest.fixture(autouse=True)
def forgotten_answers() -> None:
    """Neither are the answers that were kept in it: here, and in servers that share our Redis or our database."""
    forget()
    hits.remembered.clear()
    caching.outage.ends()
    caching.flights.forget_all()
    announced.clear()
    getattr(store(), "memory", store()).forget()
    if settings.ENVIRONMENT.redis_url:
        store().clear("*")


@pytest.fixture
def uncached(settings: Any) -> None:
    """Every request asks the database."""
    settings.CACHE_ENABLED = False


@pytest.fixture
def committed(transactional_db: None) -> Iterator[None]:
    """Rows written in the test are committed, so other connections see them; all are gone afterwards."""
    yield
    with connection.cursor() as cursor:
        cursor.execute(f"DELETE FROM {settings.DB_LIQ_TABLENAME}")


@pytest.fixture
def write(committed: None) -> Callable[[Sequence[ForcedOrder]], WriteResult]:
    """Commits orders to the table, and lets running servers know."""

    def write(orders: Sequence[ForcedOrder]) -> WriteResult:
        result = orders_write(orders)
        wait_for_news()
        return result

    return write


@pytest.fixture(scope="session")
def recordings() -> Path:
    """The folder of recorded exchange data."""
    folder = os.environ.get("LIQUI_RECORDINGS")
    if not folder:
        pytest.skip("LIQUI_RECORDINGS is not set: it names the folder of recorded exchange data")
    return Path(folder)
