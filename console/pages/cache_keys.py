"""The keys of the cache: searching them, looking at one answer, and removing answers after a confirmation."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.http import HttpRequest, HttpResponseBase
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.datastructures import MultiValueDict
from django.views.decorators.http import require_http_methods, require_safe

from accounts.audit import console_actor, record
from accounts.roles import Role
from cachemgmt.browsing import KeptAnswer, answer_named, answers_counted, answers_page, glob_of, preview
from cachemgmt.keys import glob_escape
from cachemgmt.operations import answers_clear, once_a_second, subject_invalidate
from cachemgmt.registry import Subject, about_symbol, about_symbol_lists
from cachemgmt.stores import store
from console.registry import Page
from console.site import render
from console.texts import byte_size, span

MAX_CHARACTERS = 200  # of a symbol or of what is searched for
MAX_KEY_CHARACTERS = 1000
STATES = {
    "fresh": ("is-good", "served as it is"),
    "stale": ("is-warning", "expired: the next request makes it anew; the data have not changed"),
    "outdated": ("is-bad", "data have changed since: only served while the database fails"),
    "unreadable": ("is-off", "another version of liqui has written it"),
}


@require_safe
def cache_keys(request: HttpRequest) -> HttpResponseBase:
    search = request.GET.get("search", "").strip()
    if len(search) > MAX_CHARACTERS:
        messages.error(request, too_long(search, MAX_CHARACTERS))
        return redirect("admin:console-cache-keys")
    found, cursor = answers_page(search, request.GET.get("cursor", ""))
    return render(
        request,
        "console/cache_keys.html",
        "Keys of the cache",
        search=search,
        glob=glob_of(search),
        is_first="cursor" not in request.GET,
        answers=[answer_texts(answer) for answer in found],
        next=cursor and urlencode({"search": search, "cursor": cursor}),
        trouble=store().trouble,
    )


@require_safe
def cache_key(request: HttpRequest) -> HttpResponseBase:
    text = request.GET.get("key", "")
    named = answer_named(text)
    if named is None:
        context: dict[str, Any] = {"answer": None}
    else:
        answer, entry = named
        body, is_whole = preview(entry) if entry else ("", True)
        context = {"answer": answer_texts(answer), "body": body, "is_whole": is_whole}
    page = render(request, "console/cache_key.html", "One answer", key=text, trouble=store().trouble, **context)
    page.status_code = 200 if named else 404
    return page


def answer_texts(answer: KeptAnswer) -> dict[str, Any]:
    look, meaning = STATES[answer.state]
    return {
        "key": answer.key,
        "link": f"{reverse('admin:console-cache-key')}?{urlencode({'key': answer.key})}",
        "state": answer.state,
        "look": look,
        "meaning": meaning,
        "status": answer.status,
        "bytes": byte_size(answer.bytes),
        "body_bytes": byte_size(answer.body_bytes),
        "removed_in": span(answer.removed_in_s),
        "age": span(answer.age_s),
        "fresh_for": span(max(answer.fresh_for_s, 0)) if answer.fresh_for_s is not None else None,
        "cost_ms": answer.cost_ms,
        "request": answer.request,
        "scope": answer.scope,
        "stamp": answer.stamp,
        "counter": answer.counter,
    }


@dataclass(frozen=True)
class Removal:
    """Answers that somebody wants removed. ``what`` completes "Remove …"; ``kind`` and ``value`` ask for it again."""

    kind: str
    value: str
    what: str
    action: str  # in the audit log
    patterns: tuple[str, ...]
    remove: Callable[[], int]


class Refused(Exception):
    """The text is for the person who asked."""


def removal_asked(given: MultiValueDict[str, str]) -> Removal:
    """What a form asks for; raises `Refused`."""
    kind, value = given.get("kind", ""), given.get("value", "").strip()
    most = MAX_CHARACTERS if kind == "symbol" else MAX_KEY_CHARACTERS
    if len(value) > most:
        raise Refused(too_long(value, most))
    if kind == "symbols":
        return by_subject(kind, "", "the lists of symbols", "cache.invalidate-symbols", about_symbol_lists())
    if not value or kind not in ("symbol", "pattern", "key"):
        raise Refused("Say what is to be removed: a symbol, or a pattern.")
    if kind == "symbol":
        return by_subject(kind, value, f"the answers about {value.upper()}", "cache.invalidate", about_symbol(value))
    glob = glob_of(value) if kind == "pattern" else glob_escape(value)
    what = "all answers" if glob == "*" else f"the answers whose keys match {glob}" if kind == "pattern" else value
    return Removal(kind, value, what, "cache.clear", (glob,), lambda: answers_clear(glob))


def too_long(text: str, most: int) -> str:
    return f"{text[:20]}… is too long: {len(text):,} characters, and {most:,} are the most."


def by_subject(kind: str, value: str, what: str, action: str, subject: Subject) -> Removal:
    return Removal(kind, value, what, action, subject.patterns, lambda: subject_invalidate(subject))


@require_http_methods(["GET", "POST"])
def cache_remove(request: HttpRequest) -> HttpResponseBase:
    """Asks, and says how many answers it is about; does it when it is asked by POST."""
    try:
        removal = removal_asked(request.POST if request.method == "POST" else request.GET)
    except Refused as refusal:
        messages.error(request, str(refusal))
        return redirect("admin:console-cache")
    if request.method == "POST":
        tell(request, removal, once_a_second(removal.kind, removal.value, lambda: remove(request, removal)))
        return redirect("admin:console-cache" if removal.kind != "key" else "admin:console-cache-keys")
    counted = answers_counted(removal.patterns)
    context = {"removal": removal, "counted": counted, "number": f"{counted.number:,}", "trouble": store().trouble}
    return render(request, "console/cache_remove.html", "Remove answers?", **context)


def remove(request: HttpRequest, removal: Removal) -> int:
    removed = removal.remove()
    trouble = store().trouble
    details: dict[str, Any] = {"to_be_told": trouble} if trouble else {}
    record(console_actor(request), removal.action, removal.value or removal.kind, amount=removed, **details)
    return removed


def tell(request: HttpRequest, removal: Removal, removed: int) -> None:
    if trouble := store().trouble:
        text = f"{trouble}. It is told to remove {removal.what} when it is back, before anything of it is used again."
        messages.warning(request, text)
    else:
        answers = "1 answer" if removed == 1 else f"{removed:,} answers"
        messages.success(request, f"{answers} removed: {removal.what}.")


pages = [
    Page("cache/keys", "console-cache-keys", cache_keys),
    Page("cache/key", "console-cache-key", cache_key),
    Page("cache/remove", "console-cache-remove", cache_remove, Role.OPERATOR),
]
