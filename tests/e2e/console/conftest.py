"""Fixtures: the console of a service of its own, and people at browsers."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.e2e.console.browser import DESK, Visitor, launched
from tests.e2e.console.service import PASSWORD, ROLES, Console, embedded

Visit = Callable[..., Visitor]
Reader = Callable[..., Visitor]
seen_by = pytest.StashKey[tuple[list[Visitor], Path]]()


# Until the package's last test: while Playwright runs, no other test may have an event loop or use the database.
@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright, launched(playwright) as browser:
        yield browser


@pytest.fixture(scope="package")
def console(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Console]:
    with embedded(tmp_path_factory.mktemp("console")) as console:
        yield console


@pytest.fixture(scope="package")
def sessions(console: Console, browser: Browser) -> dict[str, Any]:
    return everybody_signed_in(console, browser)


def everybody_signed_in(console: Console, browser: Browser) -> dict[str, Any]:
    """The cookies of each role."""
    return {role: signed_in(console, browser, role) for role in ROLES}


def signed_in(console: Console, browser: Browser, role: str) -> Any:
    visitor = Visitor(browser, console.root, role)
    visitor.sign_in(role, PASSWORD)
    visitor.page.wait_for_url(f"{console.root}/admin/")
    cookies = visitor.context.cookies()
    visitor.close()
    return cookies


@pytest.fixture
def visit(
    request: pytest.FixtureRequest, browser: Browser, console: Console, sessions: dict[str, Any], tmp_path: Path
) -> Iterator[Visit]:
    """Opens a browser as viewer, operator, administrator or, by default, as nobody in particular."""
    visitors: list[Visitor] = []
    request.node.stash[seen_by] = visitors, tmp_path

    def visit(role: str = "") -> Visitor:
        visitor = Visitor(browser, console.root, role or "anonymous", sessions.get(role))
        visitors.append(visitor)
        return visitor

    yield visit
    for visitor in visitors:
        visitor.close()
    assert not [fault for visitor in visitors for fault in visitor.faults]


@pytest.fixture(scope="module")
def readers(browser: Browser, console: Console, sessions: dict[str, Any]) -> Iterator[dict[str, Visitor]]:
    """One of each role, for tests that only look at pages: with a cache that is warm."""
    readers = {role: Visitor(browser, console.root, role, sessions.get(role)) for role in ("", *ROLES)}
    yield readers
    for reader in readers.values():
        reader.close()


@pytest.fixture
def reader(request: pytest.FixtureRequest, readers: dict[str, Visitor], tmp_path: Path) -> Iterator[Reader]:
    """The one of this role, on a desk."""
    used: list[Visitor] = []
    request.node.stash[seen_by] = used, tmp_path

    def reader(role: str = "") -> Visitor:
        visitor = readers[role]
        visitor.faults.clear()
        visitor.messages.clear()
        visitor.page.set_viewport_size(DESK)
        used.append(visitor)
        return visitor

    yield reader
    assert not [fault for visitor in used for fault in visitor.faults]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Any:
    """A test that fails tells what its visitors saw, with a picture."""
    report = yield
    if report.when == "call" and report.failed and seen_by in item.stash:
        visitors, folder = item.stash[seen_by]
        report.sections.append(("browser", "\n\n".join(visitor.report(folder) for visitor in visitors)))
    return report
