"""Every page for everybody: read aloud, by keyboard alone, on a phone."""

from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe

from tests.backend import IS_SQLITE
from tests.e2e.console.browser import PHONE, Visitor
from tests.e2e.console.conftest import Reader, Visit
from tests.e2e.console.pages import shown_pages

pytestmark = pytest.mark.skipif(not IS_SQLITE, reason="in the browser all backends are one")

axe = Axe()
GRAVE = ("serious", "critical")
LONGEST_WALK = 150  # presses of Tab
# The focused element, and whether one can see that it is.
FOCUS = """() => {
  const focused = document.activeElement, style = getComputedStyle(focused), box = focused.getBoundingClientRect();
  if (focused === document.body) return null;
  const ring = style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) > 0 || style.boxShadow !== 'none';
  return {
    what: focused.outerHTML.slice(0, 160), ring, place: [...document.querySelectorAll('*')].indexOf(focused),
    visible: box.width > 0 && box.height > 0
      && box.bottom > 0 && box.right > 0 && box.left < innerWidth && box.top < innerHeight,
  };
}"""


@pytest.mark.parametrize("path", ["/admin/login/", *shown_pages("administrator")])
def test_a_page_can_be_used_by_everybody(reader: Reader, path: str) -> None:
    visitor = reader("" if "login" in path else "administrator")
    visitor.go(path)
    visitor.settle()
    faults = [f"on a desk: {fault}" for fault in accessibility_faults(visitor)]
    faults += keyboard_faults(visitor, "#content")
    visitor.page.set_viewport_size(PHONE)
    faults += [f"on a phone: {fault}" for fault in [*accessibility_faults(visitor), *overflow_faults(visitor)]]
    assert not faults


def accessibility_faults(visitor: Visitor) -> list[str]:
    found: Any = axe.run(visitor.page).response
    return [
        f"{rule['id']}: {node['html'][:200]}"
        for rule in found["violations"]
        if rule["impact"] in GRAVE
        for node in rule["nodes"]
    ]


def overflow_faults(visitor: Visitor) -> list[str]:
    """A table may scroll by itself, the page may not."""
    beyond = visitor.page.evaluate("document.documentElement.scrollWidth - innerWidth")
    return [f"the page is {beyond} px wider than the screen"] if beyond > 0 else []


def keyboard_faults(visitor: Visitor, place: str) -> list[str]:
    """From there on Tab follows the order of the page, and one sees where one is."""
    faults: list[str] = []
    places: list[int] = []
    visitor.page.evaluate("place => document.querySelector(place)?.focus()", place)
    while len(places) < LONGEST_WALK:
        visitor.page.keyboard.press("Tab")
        focus = visitor.page.evaluate(FOCUS)
        # From the end of the page it goes on at its beginning.
        if focus is None or focus["place"] in places or focus["place"] < min(places, default=0):
            break
        places.append(focus["place"])
        if not focus["ring"]:
            faults.append(f"one cannot see that it has the focus: {focus['what']}")
        if not focus["visible"]:
            faults.append(f"it has the focus and cannot be seen: {focus['what']}")
    return faults if places == sorted(places) else [*faults, "Tab does not follow the order of the page"]


def test_the_navigation_can_be_walked_through_with_the_keyboard(reader: Reader) -> None:
    visitor = reader("administrator")
    visitor.go("/admin/jobs")
    assert keyboard_faults(visitor, "body") == []
    visitor.page.get_by_role("link", name="Gaps").focus()
    visitor.page.keyboard.press("Enter")
    visitor.page.wait_for_url("**/admin/gaps")


def test_the_first_tab_offers_to_skip_the_navigation(visit: Visit) -> None:
    visitor = visit("viewer")
    page = visitor.go("/admin/cache")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.closest('#content') !== null")


def test_the_navigation_opens_on_a_phone(visit: Visit) -> None:
    visitor = visit("viewer")
    visitor.page.set_viewport_size(PHONE)
    page = visitor.go("/admin/")
    page.get_by_role("button", name="Navigation").locator("visible=true").click()
    page.get_by_role("link", name="Liquidation orders").click()
    page.wait_for_url("**/admin/orders")


def test_a_page_that_is_not_there_says_so_inside_the_console(visit: Visit) -> None:
    visitor = visit("viewer")
    visitor.expect(404)
    page = visitor.go("/admin/no-such-page")
    page.get_by_text("There is no such page").wait_for()
    assert not [*accessibility_faults(visitor), *overflow_faults(visitor)]
