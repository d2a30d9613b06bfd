"""What templates of the console say in the same way everywhere."""

from typing import Any

from django import template
from django.utils.html import format_html
from django.utils.safestring import SafeString

from console import texts

register = template.Library()

CLASSES = {
    "healthy": "is-good",
    "active": "is-good",
    "connected": "is-good",
    "closed": "is-good",
    "done": "is-good",
    "taken": "is-good",
    "degraded": "is-warning",
    "expired": "is-warning",
    "half-open": "is-warning",
    "refused": "is-warning",
    "waiting": "is-warning",
    "running": "is-warning",
    "unhealthy": "is-bad",
    "failed": "is-bad",
    "missed": "is-bad",
    "open": "is-bad",
    "away": "is-bad",
    "not connected": "is-bad",
}


@register.simple_tag
def status(word: str) -> SafeString:
    """A state, in its word; the colour only repeats it."""
    return format_html('<span class="status {}">{}</span>', CLASSES.get(word, "is-off"), word)


@register.filter
def utc_time(at_ms: int | None) -> str:
    return texts.utc_time(at_ms)


@register.filter
def number(value: Any) -> str:
    return texts.number(value)


@register.filter
def span(seconds: Any) -> str:
    return texts.span(seconds)
