"""GET /health: is the service usable, and what of it is not. Answers in bounded time, whatever is broken."""

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

from accounts.permissions import Public
from cachemgmt.stores import store
from database.errors import QueryTimeout
from liqui import __version__
from liqui.limits import limits_health
from liquidations.table import table_problem
from marketdata.clock import clock_ms
from streams.health import Summary, collectors_summary

Component = dict[str, Any]
STATUS_UNKNOWN = "the collectors' status cannot be read"
DATABASE_TIMEOUT_S = 2  # to answer; connecting has a limit of its own


EXAMPLE = {
    "status": "healthy",
    "timestamp": "2026-11-21T07:49:35.730798+00:00",
    "components": {
        "database": {"status": "healthy", "message": "Database connection successful"},
        "redis": {"status": "healthy", "message": "Redis connection successful", "hit_rate": 66.67},
        "limits": {"status": "healthy", "message": "100 requests a minute, 100 at once, counted in Redis redis:6379"},
        "feed": {"status": "healthy", "message": "live data: 1 of 1 connected, last message 0.4 s ago"},
        "collector": {
            "status": "healthy",
            "message": "1 of 1 connected, last message 0.4 s ago",
            "connected": True,
            "simulated": False,
            "last_message_age_seconds": 0.4,
            "reconnects": 2,
            "received": 1204,
            "stored": 1204,
            "spooled": 0,
            "dropped": 0,
            "undecodable": 0,
            "breaker": "closed",
            "collectors": {"collector": {"running": True, "updated_age_seconds": 0.7, "connected": True}},
        },
    },
    "service": "liqui",
    "version": __version__,
    "feed": "live",
}
AWAY = {"status": "unhealthy", "message": "Database connection failed: (2003, \"Can't connect to server on 'db'\")"}
UNHEALTHY_EXAMPLE = EXAMPLE | {"status": "unhealthy", "components": EXAMPLE["components"] | {"database": AWAY}}


class ComponentShape(serializers.Serializer[Any]):
    status = serializers.ChoiceField(choices=["healthy", "unhealthy", "degraded", "disabled"])
    message = serializers.CharField()
    hit_rate = serializers.FloatField(required=False, help_text="Of the whole Redis server, in percent.")
    connected = serializers.BooleanField(required=False, help_text="Whether any collector is connected to the venue.")
    simulated = serializers.BooleanField(required=False, help_text="Whether any is connected to an exchange simulator.")
    last_message_age_seconds = serializers.FloatField(required=False, allow_null=True)
    reconnects = serializers.IntegerField(required=False)
    received = serializers.IntegerField(required=False, help_text="Of all running collectors since they were started.")
    stored = serializers.IntegerField(required=False, help_text="Copies of what another collector stored included.")
    spooled = serializers.IntegerField(required=False, help_text="Orders that wait to be stored.")
    dropped = serializers.IntegerField(required=False, help_text="Orders for which the spool had no room.")
    undecodable = serializers.IntegerField(required=False, help_text="Frames that could not be understood.")
    breaker = serializers.ChoiceField(required=False, choices=["closed", "open", "half-open"])
    collectors = serializers.DictField(required=False, help_text="What each collector says of itself, by its name.")


class HealthShape(serializers.Serializer[Any]):
    status = serializers.ChoiceField(choices=["healthy", "unhealthy"])
    timestamp = serializers.DateTimeField()
    components = serializers.DictField(child=ComponentShape())
    service = serializers.CharField()
    version = serializers.CharField()
    feed = serializers.CharField(
        help_text="`none`: the user's own data; `live`; `simulated`, `replay`, `sample`: made up."
    )


def health_answer(description: str, example: dict[str, Any]) -> OpenApiResponse:
    examples = [OpenApiExample(description, value=example, response_only=True)]
    return OpenApiResponse(HealthShape, description=description, examples=examples)


class HealthView(APIView):
    permission_classes = [Public]
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
        database = database_health()
        status = database["status"]
        redis = redis_health()
        live = live_health(is_readable=status == "healthy")
        components = {"database": database, "redis": redis, "limits": limits_health(redis), **live}
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


def live_health(*, is_readable: bool) -> dict[str, Component]:
    """The feed, and the collectors that bring it. A database that hangs is not asked: probes are answered in time."""
    try:
        summary = collectors_summary(clock_ms()) if is_readable else None
    except DatabaseError:
        connection.close()
        summary = None
    return {"feed": feed_health(summary), "collector": collector_health(summary)}


def feed_health(summary: Summary | None) -> Component:
    """Whether orders come in, by the newest message of any collector."""
    if settings.LIQUI_FEED == "sample":
        return {"status": "healthy", "message": "sample data"}
    if settings.LIQUI_FEED == "none":
        return {"status": "disabled", "message": "no live feed configured"}
    what = "live data" if settings.LIQUI_FEED == "live" else "simulated data"
    if summary is None:
        return {"status": "degraded", "message": f"{what}: {STATUS_UNKNOWN}"}
    return {"status": summary.status, "message": f"{what}: {summary.message}"}


def collector_health(summary: Summary | None) -> Component:
    """The collectors of this database together, and each by its name."""
    is_collected = settings.LIQUI_FEED not in ("none", "sample")
    if not is_collected and (summary is None or not summary.collectors):
        return {"status": "disabled", "message": "no collector configured"}
    if summary is None:
        return {"status": "degraded", "message": STATUS_UNKNOWN}
    return {"status": summary.status, "message": summary.message, **summary.figures, "collectors": summary.collectors}
