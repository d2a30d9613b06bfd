"""GET /health tells what is usable; only the database decides between 200 and 503."""

import time
from datetime import datetime, timedelta
from typing import Any

import pytest
import redis
from django.db import OperationalError
from django.test import Client

from cachemgmt.stores.guarded import GuardedStore
from cachemgmt.stores.memory import MemoryStore
from cachemgmt.stores.redis import RedisStore
from liqui import __version__, health
from tests.cachemgmt.troubles import cache_client
from tools.servers import PrivateRedis

pytestmark = pytest.mark.django_db


@pytest.fixture
def use_redis(settings: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Makes the cache use the Redis at this URL, or none."""

    def use(url: str) -> None:
        settings.ENVIRONMENT = type(settings.ENVIRONMENT)(**{**vars(settings.ENVIRONMENT), "redis_url": url})
        if url:
            guarded = GuardedStore(RedisStore(cache_client(url), "health"), MemoryStore(1 << 20))
            monkeypatch.setattr(health, "store", lambda: guarded)

    return use


@pytest.mark.contract("D054")
def test_a_healthy_service_answers_200_with_its_components(client: Client, use_redis: Any) -> None:
    use_redis("")
    response = client.get("/health")
    body = response.json()
    assert response.status_code == 200
    assert list(body)[:3] == ["status", "timestamp", "components"]
    assert body["status"] == "healthy"
    assert datetime.fromisoformat(body["timestamp"]).utcoffset() == timedelta(0)
    assert body["timestamp"].endswith("+00:00")
    assert body["components"]["database"] == {"status": "healthy", "message": "Database connection successful"}
    assert body["components"]["redis"] == {
        "status": "disabled",
        "message": "Redis not configured - local memory cache in use",
    }
    assert (body["service"], body["version"]) == ("liqui", __version__)


def test_sample_data_is_named_in_words(client: Client, settings: Any) -> None:
    settings.LIQUI_FEED = "sample"
    body = client.get("/health").json()
    assert body["feed"] == "sample"
    assert body["components"]["feed"]["message"] == "sample data"


@pytest.mark.contract("D055")
def test_a_database_that_is_away_makes_a_503_with_the_same_object(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away() -> None:
        raise OperationalError(2003, "Can't connect to server on 'db'")

    monkeypatch.setattr(health, "table_problem", away)
    monkeypatch.setattr(health.connection, "close", lambda: None)
    response = client.get("/health")
    assert (response.status_code, response.json()["status"]) == (503, "unhealthy")
    database = response.json()["components"]["database"]
    assert database["status"] == "unhealthy"
    assert database["message"].startswith("Database connection failed: ")


def test_a_missing_table_makes_a_503_that_names_it(client: Client, settings: Any) -> None:
    settings.DB_LIQ_TABLENAME = "no_such_table"
    response = client.get("/health")
    assert response.status_code == 503
    assert "no_such_table" in response.json()["components"]["database"]["message"]


def test_a_redis_that_is_up_tells_its_hit_rate(client: Client, use_redis: Any, private_redis: PrivateRedis) -> None:
    use_redis(private_redis.url())
    server = redis.Redis.from_url(private_redis.url())
    server.config_resetstat()
    server.set("known", "1")
    for key in ("known", "known", "unknown"):
        server.get(key)
    component = client.get("/health").json()["components"]["redis"]
    assert component == {"status": "healthy", "message": "Redis connection successful", "hit_rate": 66.67}


@pytest.mark.contract("D056")
def test_a_redis_that_is_away_degrades_without_making_the_service_unhealthy(
    client: Client, use_redis: Any, private_redis: PrivateRedis
) -> None:
    use_redis(private_redis.url())
    private_redis.stop()
    response = client.get("/health")
    assert (response.status_code, response.json()["status"]) == (200, "healthy")
    assert response.json()["components"]["redis"] == {
        "status": "degraded",
        "message": "Redis not available - running in fallback mode",
    }


def test_a_redis_that_hangs_costs_a_second_at_most(client: Client, use_redis: Any, private_redis: PrivateRedis) -> None:
    use_redis(private_redis.url())
    private_redis.pause()
    started = time.monotonic()
    assert client.get("/health").json()["components"]["redis"]["status"] == "degraded"
    assert time.monotonic() - started < 1.5
