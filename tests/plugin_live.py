"""Fixtures: real servers over the tests' own database."""

from collections.abc import Iterator

import pytest

from tests.live import KINDS, LiveServer, ServerKind, serving


@pytest.fixture(params=KINDS)
def server_kind(request: pytest.FixtureRequest) -> ServerKind:
    return request.param


@pytest.fixture(scope="module", params=KINDS)
def live(
    request: pytest.FixtureRequest, django_db_setup: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[LiveServer]:
    """One server for the tests of a module, once of each kind; few streams, so that their limit can be met."""
    with serving(request.param, tmp_path_factory.mktemp(f"live-{request.param}"), MAX_STREAMS="2") as server:
        yield server
