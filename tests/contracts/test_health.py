"""GET /health: the contract's rows D054 and, for what a single process can show of it, D055."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.backend import IS_SQLITE

Ask = Callable[..., Any]


@pytest.mark.contract("D054")
def test_health_is_an_object_with_status_time_and_components(transactional_db: None, ask: Ask) -> None:
    response = ask("/health")
    body = response.json()
    assert response.status_code == 200
    assert response.headers["Content-Type"] == "application/json"
    assert list(body)[:3] == ["status", "timestamp", "components"]
    assert body["status"] == "healthy"
    assert body["components"]["database"] == {"status": "healthy", "message": "Database connection successful"}


@pytest.mark.contract("D054")
def test_health_tells_the_time_in_utc(transactional_db: None, ask: Ask) -> None:
    text = ask("/health").json()["timestamp"]
    assert text.endswith("+00:00")
    assert abs(datetime.now(UTC) - datetime.fromisoformat(text)) < timedelta(seconds=10)


@pytest.mark.contract("D054")
def test_health_has_a_component_for_redis_used_or_not(transactional_db: None, ask: Ask) -> None:
    redis = ask("/health").json()["components"]["redis"]
    if IS_SQLITE:
        assert redis["status"] == "disabled"
    else:
        assert (redis["status"], redis["message"]) == ("healthy", "Redis connection successful")
        assert 0 <= redis["hit_rate"] <= 100


@pytest.mark.contract("D055")
def test_a_missing_table_is_an_unhealthy_database_and_says_which(
    transactional_db: None, ask: Ask, settings: Any
) -> None:
    settings.DB_LIQ_TABLENAME = "no_such_liqs"
    response = ask("/health")
    body = response.json()
    assert response.status_code == 503
    assert body["status"] == body["components"]["database"]["status"] == "unhealthy"
    assert "no_such_liqs" in body["components"]["database"]["message"]
