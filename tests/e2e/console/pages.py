"""Which pages there are: each page of the console is in one of these lists, or a test fails."""

from typing import Any

from django.contrib import admin
from django.urls import reverse

from accounts.roles import GROUPS, Role
from console.registry import Page, pages

# Pages that need something in their address, with what is there in every test.
WITH_SOMETHING = {
    "console-cache-key": "?key=symbols%3Aall",
    "console-cache-remove": "?kind=symbol&value=BTCUSDT",
}
# Long tables, cut to what one can walk through with the keyboard.
NARROWED = {"console-instruments": "?search=BTC", "console-orders": "?symbol=ETHUSDT&notional=1000000000"}
# Parts that other pages fetch, and files.
PARTS = {
    "console-cache-figures": "",
    "console-collector-part": "",
    "console-dashboard-part": "health",
    "console-job": 1,
    "console-job-file": 1,
    "console-job-part": 1,
    "console-job-progress": 1,
    "console-orders-export": "",
}
# What acts, by POST alone.
ACTING = {
    "console-bars-rebuild": [],
    "console-bars-repair": [1],
    "console-bars-verify": [],
    "console-cache-retry": [],
    "console-cache-warm": [],
    "console-collector-ask": ["retry"],
    "console-import-upload": [],
    "console-instruments-add": [],
    "console-instruments-switch": [],
    "console-instruments-sync": [],
    "console-job-again": [1],
}


def path_of(page: Page) -> str:
    return reverse(f"admin:{page.name}") + WITH_SOMETHING.get(page.name, NARROWED.get(page.name, ""))


def shown_pages(label: str) -> list[str]:
    """The addresses of all pages that a role sees: our own and those over tables, with their forms."""
    role = GROUPS[label]
    own = [path_of(page) for page in pages() if page.name not in ACTING | PARTS and role >= page.role]
    return sorted(own + [path for site in admin.site._registry.values() for path in model_pages(site, role)])


def model_pages(site: Any, role: Role) -> list[str]:
    name = f"admin:{site.opts.app_label}_{site.opts.model_name}"
    if role < site.views:
        return []
    return [reverse(f"{name}_changelist"), *([reverse(f"{name}_add")] if site.adds and role >= site.adds else [])]


ACTS = [
    *(reverse(f"admin:{name}", args=arguments) for name, arguments in sorted(ACTING.items())),
    # These ask first, and act by POST.
    reverse("admin:console-cache-remove"),
    reverse("admin:accounts_apikey_revoke", args=[1]),
]
