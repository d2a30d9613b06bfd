"""What the OpenAPI schema says of the management endpoints: who may call them, answers, every error, examples."""

from typing import Any

from drf_spectacular.utils import OpenApiExample, OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import serializers

from api.shapes import error
from cachemgmt.serializers import (
    CacheStatsShape,
    ClearedShape,
    ClearParameters,
    SymbolInvalidatedShape,
    SymbolsInvalidatedShape,
    WarmingStartedShape,
)

WHO = "For operators: signed in, with a key of scope `operate`, or with `X-Liqui-Token`."
AGAIN = "Repeated within a second it is one call, and answers the same."
NAMESPACE_EXAMPLE = {
    "hits": 5120,
    "misses": 310,
    "stale": 12,
    "coalesced": 40,
    "bypassed": 0,
    "saved_bytes": 134217728,
    "saved_seconds": 41.5,
    "keys": 96,
    "bytes": 524288,
    "ttl_seconds": 3900.5,
}
STATS_EXAMPLE = {
    "cache_stats": {
        "available": True,
        "connected_clients": 5,
        "used_memory": 1893104,
        "used_memory_human": "1.81M",
        "keyspace_hits": 6210,
        "keyspace_misses": 402,
        "total_commands_processed": 12874,
        "hit_rate": 93.92,
        "store": "Redis redis.example.org:6379",
        "breaker": {"is_open": False, "reason": "", "openings": 0},
        "namespaces": {"liq": NAMESPACE_EXAMPLE},
        "namespaces_complete": True,
        "warming": {
            "is_running": False,
            "started": "2026-11-21T07:49:35+00:00",
            "total": 36,
            "done": 36,
            "made": 12,
            "failed": 0,
            "seconds": 1.2,
        },
    },
    "message": "Cache statistics retrieved successfully",
}


def answers(shape: type[serializers.Serializer[Any]], description: str, example: dict[str, Any]) -> dict[int, Any]:
    return {
        200: OpenApiResponse(
            shape,
            description=description,
            examples=[OpenApiExample("Success", value=example, response_only=True)],
        ),
        401: error("No credentials, or wrong ones.", "Authentication credentials were not provided.", "Wrong token"),
        403: error(
            "The caller is no operator, or the session's CSRF token is missing.",
            "This needs the role of operator",
            "CSRF Failed: CSRF token missing.",
        ),
    }


stats = extend_schema(
    operation_id="cache_stats",
    summary="What the cache holds and does",
    description=f"The store's figures, and per namespace what was asked and what is kept. {WHO}",
    responses=answers(
        CacheStatsShape, "Also when the cache is not available: then `available` is false.", STATS_EXAMPLE
    ),
    tags=["cache"],
)

clear = extend_schema(
    operation_id="cache_clear",
    summary="Remove answers by pattern",
    description=f"Removes this deployment's answers alone, whoever else uses the Redis server. {AGAIN} {WHO}",
    request=None,
    parameters=[ClearParameters],
    responses=answers(
        ClearedShape,
        "How many answers were removed; 0 when the cache is not available.",
        {"deleted_keys": 42, "pattern": "liq:BTC*", "message": "Successfully cleared 42 cache entries"},
    ),
    tags=["cache"],
)

invalidate_symbol = extend_schema(
    operation_id="cache_invalidate_symbol",
    summary="Remove the answers about a symbol",
    description=f"Buckets and orders; answers that are being made right now are not kept. {AGAIN} {WHO}",
    request=None,
    parameters=[OpenApiParameter("symbol", str, OpenApiParameter.PATH, description="In any case; no pattern.")],
    responses=answers(
        SymbolInvalidatedShape,
        "How many answers were removed; 0 when the cache is not available.",
        {
            "deleted_keys": 7,
            "symbol": "BTCUSDT",
            "message": "Successfully invalidated 7 cache entries for symbol BTCUSDT",
        },
    ),
    tags=["cache"],
)

invalidate_symbols = extend_schema(
    operation_id="cache_invalidate_symbols",
    summary="Remove the list of symbols",
    description=f"The next request for it reads the table. {AGAIN} {WHO}",
    request=None,
    responses=answers(
        SymbolsInvalidatedShape,
        "`success` is false when the cache is not available.",
        {"success": True, "message": "Symbols cache invalidated successfully"},
    ),
    tags=["cache"],
)

warm = extend_schema(
    operation_id="cache_warm",
    summary="Make what clients are going to ask for",
    description=f"In the background, one run at a time; `/api/cache/stats` shows its progress. {WHO}",
    request=None,
    responses=answers(
        WarmingStartedShape,
        "It has begun, or is under way.",
        {"message": "Cache warming started in background", "status": "initiated"},
    ),
    tags=["cache"],
)
