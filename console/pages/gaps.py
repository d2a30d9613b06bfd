"""When nothing was received: what no total over such a time can hold."""

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from django import forms
from django.http import HttpRequest, HttpResponseBase, StreamingHttpResponse

from accounts.audit import console_actor, record
from console.fields import UtcField, choice_field
from console.registry import Page
from console.site import render
from console.texts import utc_time
from marketdata.clock import clock_ms
from marketdata.venues.binance.routes import ALL_LIQUIDATIONS
from streams.gaps import Gap, gaps, longest
from streams.models import StreamCoverage

DAY_MS = 86_400_000
LONGEST_WINDOW_MS = 400 * DAY_MS  # so far back goes the ledger
SHOWN = 500


@dataclass(frozen=True, slots=True)
class Window:
    stream: str
    start_ms: int
    end_ms: int
    min_ms: int


class GapsForm(forms.Form):
    def __init__(self, data: Any, streams: Sequence[str], now_ms: int) -> None:
        super().__init__(data)
        self.streams = streams
        self.fields["stream"] = choice_field("Stream", [(name, name) for name in streams])
        self.fields["start"] = UtcField("From", now_ms - DAY_MS)
        self.fields["end"] = UtcField("Until", now_ms)
        self.fields["min_s"] = forms.DecimalField(
            label="At least (s)", min_value=0, max_value=LONGEST_WINDOW_MS // 1000, required=False
        )

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        start_ms, end_ms = cleaned.get("start"), cleaned.get("end")
        if start_ms is not None and end_ms is not None:
            if start_ms >= end_ms:
                raise forms.ValidationError("From must be before Until.")
            if end_ms - start_ms > LONGEST_WINDOW_MS:
                raise forms.ValidationError("The ledger goes back 400 days: choose a shorter time.")
        return cleaned

    @property
    def window(self) -> Window:
        asked = self.cleaned_data
        stream = asked["stream"] or self.streams[0]
        return Window(stream, asked["start"], asked["end"], int((asked["min_s"] or 0) * 1000))


def gaps_page(request: HttpRequest) -> HttpResponseBase:
    now_ms = clock_ms()
    streams = streams_known()
    form = GapsForm(request.GET, streams or [ALL_LIQUIDATIONS], now_ms)
    context: dict[str, Any] = {"form": form, "has_ledger": bool(streams), "shown": SHOWN}
    if form.is_valid() and streams:
        window = form.window
        found = longest(gaps(window.stream, window.start_ms, window.end_ms, now_ms), window.min_ms)
        if request.GET.get("format") == "csv":
            return gaps_csv(request, window, found)
        context |= {
            "window": window,
            "gaps": found[: -SHOWN - 1 : -1],
            "count": len(found),
            "uncovered_s": sum(each.seconds for each in found),
            "percent": percent(found, window, now_ms),
            "csv_query": csv_query(request),
        }
    return render(request, "console/gaps.html", "Gaps", **context)


def streams_known() -> list[str]:
    return sorted(StreamCoverage.objects.values_list("stream", flat=True).distinct())


def percent(found: Sequence[Gap], window: Window, now_ms: int) -> float:
    seconds = (min(window.end_ms, now_ms) - window.start_ms) / 1000
    return round(100 * sum(each.seconds for each in found) / seconds, 3) if seconds > 0 else 0.0


def csv_query(request: HttpRequest) -> str:
    query = request.GET.copy()
    query["format"] = "csv"
    return query.urlencode()


def gaps_csv(request: HttpRequest, window: Window, found: Sequence[Gap]) -> HttpResponseBase:
    record(console_actor(request), "gaps.export", window.stream, amount=len(found))
    response = StreamingHttpResponse(csv_lines(found), content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = 'attachment; filename="gaps.csv"'
    return response


class Line:
    """What the csv module writes to."""

    def write(self, text: str) -> str:
        return text


def csv_lines(found: Sequence[Gap]) -> Iterator[str]:
    writer = csv.writer(Line())
    yield writer.writerow(["stream", "start_ms", "end_ms", "start_utc", "end_utc", "seconds"])
    for each in found:
        end_utc = "" if each.end_ms is None else utc_time(each.end_ms)
        yield writer.writerow([each.stream, each.start_ms, each.end_ms, utc_time(each.start_ms), end_utc, each.seconds])


pages = [Page("gaps", "console-gaps", gaps_page, title="Gaps", section="Data", icon="space_bar", order=40)]
