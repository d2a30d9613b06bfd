"""Fixtures: a service with a simulated exchange, shared by all tests that only look at it."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from tests.backend import IS_SQLITE
from tests.terminal import Market, embedded_market, server_market


@pytest.fixture(scope="session")
def market(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Market]:
    """Embedded in the run on SQLite, over servers in the other one. Whoever breaks it starts one of their own."""
    with market_begin(request)(tmp_path_factory.mktemp("market")) as running:
        yield running


@pytest.fixture
def own_market(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Market]:
    """One that may be broken."""
    with market_begin(request)(tmp_path) as running:
        yield running


def market_begin(request: pytest.FixtureRequest) -> Callable[[Path], AbstractContextManager[Market]]:
    if IS_SQLITE:
        return embedded_market
    mariadb, redis = request.getfixturevalue("session_mariadb"), request.getfixturevalue("session_redis")
    mariadb.start()
    redis.start()
    return lambda home: server_market(mariadb, redis, home)
