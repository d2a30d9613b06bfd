"""Fixtures: real servers over the tests' own database."""

from collections.abc import Iterator

import pytest
from pytest_django import DjangoDbBlocker

from cachemgmt.stores import store
from tests.live import KINDS, LiveServer, ServerKind, serving, wait_for_news


@pytest.fixture(params=KINDS)
def server_kind(request: pytest.FixtureRequest) -> ServerKind:
    return request.param


@pytest.fixture
def live(module_server: LiveServer, django_db_blocker: DjangoDbBlocker) -> LiveServer:
    """The module's server, without the answers that earlier tests have left in its memory."""
    with django_db_blocker.unblock():
        store().clear("*")
    wait_for_news()
    return module_server


@pytest.fixture(scope="module", params=KINDS)
def module_server(
    request: pytest.FixtureRequest, django_db_setup: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[LiveServer]:
    """One server for the tests of a module, once of each kind; few streams, so that their limit can be met."""
    with serving(request.param, tmp_path_factory.mktemp(f"live-{request.param}"), MAX_STREAMS="2") as server:
        yield server
