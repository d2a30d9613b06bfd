"""Fixtures: a service with a simulated exchange, shared by all tests that only look at it."""

from collections.abc import Iterator

import pytest

from tests.backend import IS_SQLITE
from tests.terminal import SHARED_DATABASE, Market, embedded_market, server_market


@pytest.fixture(scope="session")
def market(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Market]:
    """Embedded in the run on SQLite, over servers in the other one. Whoever breaks it starts one of their own."""
    home = tmp_path_factory.mktemp("market")
    if IS_SQLITE:
        begun = embedded_market(home)
    else:
        mariadb, redis = request.getfixturevalue("session_mariadb"), request.getfixturevalue("session_redis")
        mariadb.start()
        redis.start()
        begun = server_market(mariadb, redis, home, database=SHARED_DATABASE)
    with begun as running:
        yield running


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests with the shared service come last, so that it does not run, and need processors, beside all others."""
    items.sort(key=lambda item: "market" in getattr(item, "fixturenames", ()))
