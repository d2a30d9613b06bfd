"""GET /: a page for people, and for the trading terminal the JSON that it expects there."""

from pathlib import Path

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.cache import patch_vary_headers

from liqui import __version__
from liqui.errors import get_only, json_response
from liqui.guide import OWN_DATA_STEPS, example_path
from liqui.settings.feeds import SIMULATED_FEEDS


@get_only
def index(request: HttpRequest) -> HttpResponse:
    # Named, not merely allowed by */*, which is what scripts send.
    wants_page = "text/html" in request.META.get("HTTP_ACCEPT", "").lower()
    response = page(request) if wants_page else json_response(terminal_status())
    patch_vary_headers(response, ("Accept",))
    return response


def page(request: HttpRequest) -> HttpResponse:
    example = example_path()
    context = {
        "version": __version__,
        "configuration": settings.ENVIRONMENT.describe(),
        "is_sample": settings.LIQUI_FEED == "sample",
        "is_simulated": settings.LIQUI_FEED in SIMULATED_FEEDS,
        "own_data_steps": OWN_DATA_STEPS,
        "example": example,
        "curl": f"curl '{request.scheme}://{request.get_host()}{example}'",
    }
    return render(request, "liqui/index.html", context)


def terminal_status() -> dict[str, str | bool]:
    return {
        "message": "liqui",
        "version": __version__,
        "debug": settings.DEBUG,
        "development": settings.DEBUG,
        "container": Path("/.dockerenv").exists(),
        "docs": "/docs",
    }
