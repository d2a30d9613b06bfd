"""What every page of the console says of the service: which mode, and whose data."""

from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.templatetags.static import static

MADE_UP = {
    "simulated": "SIMULATED: the exchange and these liquidations are made up.",
    "replay": "SIMULATED: a recording is played as if it were live.",
    "sample": "SAMPLE DATA: what is shown here is made up.",
}


def made_up(request: HttpRequest) -> dict[str, Any]:
    """For the template of every page: what to warn of, if anything."""
    return {"made_up": MADE_UP.get(settings.LIQUI_FEED)}


def mode(request: HttpRequest) -> str:
    """Below the name in the navigation."""
    feed = "your own data" if settings.LIQUI_FEED == "none" else f"feed {settings.LIQUI_FEED}"
    return f"{settings.ENVIRONMENT.mode} · {feed}"


def title_prefix(request: HttpRequest) -> str:
    """Before the title of every page, for whoever has several open."""
    return f"{settings.LIQUI_FEED.upper()} ·" if settings.LIQUI_FEED in MADE_UP else ""


def favicon(request: HttpRequest) -> str:
    return static("console/favicon.svg")


def styles(request: HttpRequest) -> str:
    return static("console/console.css")


def scripts(request: HttpRequest) -> str:
    return static("console/console.js")
