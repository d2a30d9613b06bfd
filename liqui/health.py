"""GET /health: is the service usable, and what of it is not. Answers in bounded time, whatever is broken."""

from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from typing import Any

from django.conf import settings
from django.db import Error as DatabaseError
from django.db import connection
from drf_spectacular.utils import OpenApiExample, OpenApiResponse, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from cachemgmt.stores import store
from database.errors import QueryTimeout
from liqui import __version__
from liquidations.table import table_problem

Component = dict[str, Any]
DATABASE_TIMEOUT_S = 2  # to answer; connecting has a limit of its own


EXAMPLE = {
    "status": "healthy",
    "timestamp": "2026-11-21T07:49:35.730798+00:00",
    "components": {
        "database": {"status": "healthy", "message": "Database connection successful"},
        "redis": {"status": "healthy", "message": "Redis connection successful", "hit_rate": 66.67},
        "feed": {"status": "healthy", "message": "sample data"},
    },
    "service": "liqui",
    "version": __version__,
    "feed": "sample",
}
AWAY = {"status": "unhealthy", "message": "Database connection failed: (2003, \"Can't connect to server on 'db'\")"}
UNHEALTHY_EXAMPLE = EXAMPLE | {"status": "unhealthy", "components": EXAMPLE["components"] | {"database": AWAY}}


class ComponentShape(serializers.Serializer[Any]):
    status = serializers.ChoiceField(choices=["healthy", "unhealthy", "degraded", "disabled"])
    message = serializers.CharField()
    hit_rate = serializers.FloatField(required=False, help_text="Of the whole Redis server, in percent.")


class HealthShape(serializers.Serializer[Any]):
    status = serializers.ChoiceField(choices=["healthy", "unhealthy"])
    timestamp = serializers.DateTimeField()
    components = serializers.DictField(child=ComponentShape())
    service = serializers.CharField()
    version = serializers.CharField()
    feed = serializers.CharField(help_text="`none`: the user's own data; `sample`: generated data.")


def health_answer(description: str, example: dict[str, Any]) -> OpenApiResponse:
    examples = [OpenApiExample(description, value=example, response_only=True)]
    return OpenApiResponse(HealthShape, description=description, examples=examples)


class HealthView(APIView):
    http_method_names = ["get"]

    @extend_schema(
        operation_id="health",
        summary="Is the service usable, and what of it is not",
        description="Only the database decides between 200 and 503: everything else has a fallback.",
        responses={
            200: health_answer("Usable.", EXAMPLE),
            503: health_answer("The database cannot be used.", UNHEALTHY_EXAMPLE),
        },
        tags=["operations"],
    )
    def get(self, request: Request) -> Response:
        components = {name: check() for name, check in CHECKS.items()}
        status = components["database"]["status"]
        body = {
            "status": status,
            "timestamp": datetime.now(UTC).isoformat(),
            "components": components,
            "service": "liqui",
            "version": __version__,
            "feed": settings.LIQUI_FEED,
        }
        return Response(body, 200 if status == "healthy" else 503, headers={"Cache-Control": "no-store"})


def database_health() -> Component:
    try:
        answers_in_time()
        problem = table_problem()
    except (DatabaseError, QueryTimeout) as error:
        # The next probe connects anew instead of asking a connection that may be half dead.
        connection.close()
        return {"status": "unhealthy", "message": f"Database connection failed: {error}"}
    if problem:
        return {"status": "unhealthy", "message": problem}
    return {"status": "healthy", "message": "Database connection successful"}


def answers_in_time() -> None:
    """Asks through a connection of its own, whose driver gives up: a server that hangs would keep a probe for ever."""
    limits = {} if connection.vendor == "sqlite" else {"read_timeout": DATABASE_TIMEOUT_S}
    with (
        connection.wrap_database_errors,
        closing(connection.get_new_connection({**connection.get_connection_params(), **limits})) as raw,
    ):
        raw.cursor().execute("SELECT 1")


def redis_health() -> Component:
    """What the cache knows of Redis: while it does without, nobody waits to hear it again."""
    if not settings.ENVIRONMENT.redis_url:
        return {"status": "disabled", "message": "Redis not configured - local memory cache in use"}
    figures = store().figures()
    if not figures["available"]:
        return {"status": "degraded", "message": "Redis not available - running in fallback mode"}
    return {"status": "healthy", "message": "Redis connection successful", "hit_rate": figures["hit_rate"]}


def feed_health() -> Component:
    if settings.LIQUI_FEED == "sample":
        return {"status": "healthy", "message": "sample data"}
    return {"status": "disabled", "message": "no live feed configured"}


CHECKS: dict[str, Callable[[], Component]] = {
    "database": database_health,
    "redis": redis_health,
    "feed": feed_health,
}
