"""Answering a view's request from a namespace."""

from types import SimpleNamespace
from typing import Any

from django.conf import settings
from django.http import HttpResponse, HttpResponseNotModified
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.settings import api_settings

from api.rendering import ENCODER
from cachemgmt import figures, hits
from cachemgmt.answers import COMMON_HEADERS, Answer, answer
from cachemgmt.caching import fetch
from cachemgmt.popular import popularity
from cachemgmt.registry import Asked, Namespace
from cachemgmt.types import Made, Served

JSON = "application/json"


def respond(namespace: Namespace, request: Request) -> HttpResponse:
    """The namespace's answer: validated first, kept or made. Raises what validation and making raise."""
    asked = namespace.parameters.read(request)
    served = served_for(namespace, asked)
    if served.state != "bypass":
        hits.remember(request.META["PATH_INFO"], request.META.get("QUERY_STRING", ""), namespace.key(asked))
    if served.entry.status == 200:
        popularity.count(namespace.path, request.META.get("QUERY_STRING", ""))
    found = answer(served, request.META)
    found.headers.extend(COMMON_HEADERS.items())
    return http_response(found)


def http_response(found: Answer) -> HttpResponse:
    """The answer in Django's terms."""
    headers = dict(found.headers)
    if found.status == 304:
        return HttpResponseNotModified(headers=headers)
    return HttpResponse(found.body, status=found.status, headers=headers)


def served_for(namespace: Namespace, asked: Asked) -> Served:
    served = fetch(namespace.key(asked), lambda: made(namespace, asked))
    figures.count(namespace.name, served)
    return served


def made(namespace: Namespace, asked: Asked) -> Made:
    """The answer made anew. "There is nothing" is an answer too, and kept for a moment."""
    try:
        body = namespace.make(asked)
    except NotFound as error:
        handler: Any = api_settings.EXCEPTION_HANDLER
        refusal = handler(error, {"request": SimpleNamespace(path=namespace.path)})
        ttl_s = min(settings.CACHE_TTL_NEGATIVE_SECONDS, namespace.ttl_s(asked))
        return Made(refusal.status_code, JSON, ENCODER.encode(refusal.data), ttl_s)
    return Made(200, JSON, body, namespace.ttl_s(asked))
