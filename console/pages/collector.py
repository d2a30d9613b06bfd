"""How each collector is, and what can be asked of it: to try again now, or to have a new connection take over."""

from dataclasses import dataclass
from typing import Any, get_args

from django.conf import settings
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponseBase
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.utils import timezone
from django.views.decorators.http import require_POST

from accounts.audit import console_actor, record
from accounts.roles import Role
from console.live_rate import COLLECTED_FEEDS
from console.registry import Page
from console.site import render
from marketdata.clock import clock_ms
from streams.commands import Action, Asked, command_ask, commands_last
from streams.health import collectors_summary
from streams.models import CollectorStatus

ACTIONS: dict[str, str] = {
    "retry": "to try again now",
    "reconnect": "to connect anew",
}
SILENT_S = 4.0


@dataclass(frozen=True, slots=True)
class Shown:
    """``state`` is what `/health` tells of it."""

    name: str
    state: dict[str, Any]
    asked: Asked | None

    @property
    def condition(self) -> str:
        if not self.state["running"] or self.state["updated_age_seconds"] > SILENT_S:
            return "away"
        return "connected" if self.state["connected"] else "not connected"


def collector(request: HttpRequest) -> TemplateResponse:
    is_collected = settings.LIQUI_FEED in COLLECTED_FEEDS
    return render(request, "console/collector.html", "Collector", is_collected=is_collected, feed=settings.LIQUI_FEED)


def part(request: HttpRequest) -> TemplateResponse:
    """The part that refreshes itself."""
    now_ms = clock_ms()
    asked = commands_last(now_ms)
    found = collectors_summary(now_ms).collectors.items()
    collectors = [Shown(name, state, asked.get(name)) for name, state in found]
    return render(request, "console/collector_part.html", "Collector", collectors=collectors, now=timezone.now())


@require_POST
def ask(request: HttpRequest, action: Action) -> HttpResponseBase:
    name = request.POST.get("collector", "")
    if action not in get_args(Action) or not CollectorStatus.objects.filter(name=name).exists():
        raise Http404(f"No collector is called {name!r}.")
    actor = console_actor(request)
    command_ask(name, action, actor.name, clock_ms())
    record(actor, f"collector.{action}", name)
    messages.success(request, f"{name} is asked {ACTIONS[action]}.")
    return redirect("admin:console-collector")


pages = [
    Page("collector", "console-collector", collector, title="Collector", section="Service", icon="sensors", order=20),
    Page("collector/part", "console-collector-part", part),
    Page("collector/ask/<slug:action>", "console-collector-ask", ask, role=Role.OPERATOR),
]
