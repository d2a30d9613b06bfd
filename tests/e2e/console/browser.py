"""A person at a browser: signed in or not, and held against what no page may do.

No script error, no message of a broken policy, no answer of 400 and above that was not asked for, and nothing from
another origin than the service's own.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Page,
    Playwright,
    Request,
    Response,
    ViewportSize,
)
from playwright.sync_api import TimeoutError as PlaywrightTimeout

from tools.browser import chromium

DESK: ViewportSize = {"width": 1280, "height": 800}
PHONE: ViewportSize = {"width": 390, "height": 844}
PATIENCE_MS = 10_000
# What the browser, and htmx in it, say whenever an answer is 400 or above: those are counted as answers.
SAID_OF_ANSWERS = ("Failed to load resource", "Response Status Error Code")


@contextmanager
def launched(playwright: Playwright) -> Iterator[Browser]:
    """Chromium, which reaches nothing but this machine."""
    arguments = ["--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"]
    # Its sandbox does not work for root.
    arguments += ["--no-sandbox"] if os.geteuid() == 0 else []
    browser = playwright.chromium.launch(executable_path=chromium(), args=arguments)
    try:
        yield browser
    finally:
        browser.close()


class Visitor:
    """A browser context of its own, with one page."""

    def __init__(self, browser: Browser, root: str, name: str, cookies: Any = None) -> None:
        self.root, self.name = root, name
        self.faults: list[str] = []
        self.messages: list[str] = []
        self.expected: set[int] = set()
        # Colours that are still changing are no colours to judge.
        self.context: BrowserContext = browser.new_context(
            base_url=root, viewport=DESK, reduced_motion="reduce", accept_downloads=True
        )
        self.context.set_default_timeout(PATIENCE_MS)
        if cookies:
            self.context.add_cookies(cookies)
        self.page: Page = self.context.new_page()
        self.watch()

    def watch(self) -> None:
        page = self.page
        page.on("pageerror", lambda error: self.faults.append(f"script error: {error}"))
        page.on("console", self.on_message)
        page.on("request", self.on_request)
        page.on("requestfailed", self.on_failure)
        page.on("response", self.on_response)

    def on_message(self, message: ConsoleMessage) -> None:
        self.messages.append(f"{message.type}: {message.text}")
        if message.type == "error" and not message.text.startswith(SAID_OF_ANSWERS):
            self.faults.append(f"the browser says: {message.text}")

    def on_request(self, request: Request) -> None:
        parts = urlsplit(request.url)
        if parts.scheme not in ("data", "blob") and f"{parts.scheme}://{parts.netloc}" != self.root:
            self.faults.append(f"a request to another origin: {request.url}")

    def on_failure(self, request: Request) -> None:
        # A page that is left while a part of it is on its way has asked for nothing wrong.
        if request.failure != "net::ERR_ABORTED":
            self.faults.append(f"a request failed: {request.url} {request.failure}")

    def on_response(self, response: Response) -> None:
        if response.status >= 400 and response.status not in self.expected:
            self.faults.append(f"{response.status} {response.request.method} {response.url}")

    def expect(self, *statuses: int) -> None:
        """Answers with these are no faults from now on."""
        self.expected.update(statuses)

    def go(self, path: str) -> Page:
        self.page.goto(path)
        return self.page

    def sign_in(self, name: str, password: str) -> None:
        self.go("/admin/login/")
        self.fill_in(name, password)

    def fill_in(self, name: str, password: str) -> None:
        self.page.get_by_label("Username").fill(name)
        self.page.get_by_label("Password").fill(password)
        self.page.get_by_role("button", name="Log in").click()

    def settle(self) -> None:
        """Until the parts that the page fetches by itself at first are there."""
        self.page.wait_for_function("!document.querySelector('.htmx-request')")

    def send(self, path: str, token: str | None = None) -> int:
        """The status that a form gets which is sent by hand, with the browser's cookies and its token or another."""
        cookies = {each.get("name"): each.get("value", "") for each in self.context.cookies()}
        form: dict[str, str | float | bool] = {
            "csrfmiddlewaretoken": cookies.get("csrftoken", "") if token is None else token
        }
        answer = self.context.request.post(path, form=form, headers={"Referer": self.root}, max_redirects=0)
        return answer.status

    def report(self, folder: Path) -> str:
        """Where it stands, with a picture."""
        path = folder / f"{self.name}.png"
        try:
            self.page.screenshot(path=path)
        except PlaywrightTimeout:
            return f"{self.name} at {self.page.url}, of which no picture can be taken"
        return "\n".join([f"{self.name} at {self.page.url}, {path}", *self.messages[-20:]])

    def close(self) -> None:
        self.context.close()
