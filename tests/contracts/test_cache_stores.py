"""How long answers live, what a crowd costs, and Redis away: the rows D051 to D053, D056 and D057."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.test import Client

from cachemgmt import caching, hits
from cachemgmt.stores import store
from cachemgmt.stores.guarded import GuardedStore
from cachemgmt.stores.memory import MemoryStore
from cachemgmt.stores.redis import RedisStore
from database.reading import Reader
from liqui import health
from liqui.settings.environment import environment_read
from liquidations.caching import BUCKETS, ORDERS
from liquidations.services import orders_write
from tests.cachemgmt.troubles import cache_client
from tests.factories import DAY, HOUR, T0, order
from tests.liquidations.processes import at_once
from tools.servers import free_port

Ask = Callable[..., Any]

CROWD = 100
WINDOW = {"symbol": "BTCUSDT", "start_timestamp": T0, "end_timestamp": T0 + DAY}
READS: list[tuple[str, dict[str, Any]]] = [
    ("/api/liquidations", {"timeframe": "1h", **WINDOW}),
    ("/api/liquidation-orders", WINDOW),
    ("/api/liquidation-orders", {"symbol": "BTCUSDT", "limit": 5}),
    ("/api/symbols", {}),
]

pytestmark = pytest.mark.usefixtures("committed")


def fresh_s(namespace: Any, **query: object) -> float:
    """For how long the kept answer is fresh."""
    asked = namespace.parameters.validated({name: str(value) for name, value in query.items()})
    entry = store().read(namespace.key(asked)).entry
    assert entry is not None
    return entry.ttl_ms / 1000


@pytest.mark.contract("D051")
def test_closed_windows_stay_fresh_for_longer_than_those_that_touch_the_present(ask: Ask) -> None:
    now_ms = time.time_ns() // 1_000_000
    orders_write([order(at=at) for at in (T0, now_ms - 30 * 60_000, now_ms - HOUR // 6)])
    windows = {
        "touches the present": (now_ms - HOUR, now_ms + HOUR),
        "closed minutes ago": (now_ms - HOUR, now_ms - 5 * 60_000),
        "closed long ago": (T0, T0 + DAY),
    }
    found = {}
    for name, (start, end) in windows.items():
        window = {"symbol": "BTCUSDT", "start_timestamp": start, "end_timestamp": end}
        assert ask("/api/liquidations", timeframe="1h", **window).status_code == 200
        assert ask("/api/liquidation-orders", **window).status_code == 200
        found[name] = fresh_s(BUCKETS, timeframe="1h", **window)
        assert fresh_s(ORDERS, **window) == found[name]
    assert found == {
        "touches the present": settings.CACHE_TTL_RECENT_SECONDS,
        "closed minutes ago": settings.CACHE_TTL_SECONDS,
        "closed long ago": settings.CACHE_TTL_HISTORICAL_SECONDS,
    }
    assert sorted(found.values()) == list(found.values())


@pytest.mark.contract("D053")
def test_a_hundred_equal_cold_requests_cause_one_query(monkeypatch: pytest.MonkeyPatch) -> None:
    orders_write([order(at=T0 + number * HOUR) for number in range(20)])
    queries: list[str] = []
    rows = Reader.rows

    def counted(reader: Reader, sql: str, *rest: Any) -> Any:
        if "AS notional" in sql:
            queries.append(sql)
            # So long that the whole crowd comes meanwhile.
            time.sleep(0.3)
        return rows(reader, sql, *rest)

    monkeypatch.setattr(Reader, "rows", counted)
    answers: list[Any] = []
    at_once(*[lambda: answers.append(Client().get(*READS[0]))] * CROWD)
    assert len(queries) == 1
    assert [response.status_code for response in answers] == [200] * CROWD
    assert len({response.content for response in answers}) == 1


@pytest.fixture
def redis_away(monkeypatch: pytest.MonkeyPatch, settings: Any) -> Iterator[GuardedStore]:
    """A store whose Redis is not there."""
    client = cache_client(f"redis://127.0.0.1:{free_port()}")
    away = GuardedStore(RedisStore(client, "away"), MemoryStore(1 << 20))
    for module in (caching, hits, health):
        monkeypatch.setattr(module, "store", lambda: away)
    settings.ENVIRONMENT = type(settings.ENVIRONMENT)(**{**vars(settings.ENVIRONMENT), "redis_url": "redis://away"})
    yield away
    away.pending.clear()


@pytest.mark.contract("D052")
def test_without_redis_all_reads_are_answered_and_nobody_connects_again_and_again(
    ask: Ask, redis_away: GuardedStore
) -> None:
    orders_write([order()])
    began = time.monotonic()
    for _ in range(50):
        for path, parameters in READS:
            assert ask(path, **parameters).status_code == 200
    assert time.monotonic() - began < 10
    assert redis_away.is_down
    assert redis_away.breaker.openings == 1
    assert ask(READS[0][0], **READS[0][1]).headers["X-Cache"] == "hit"


@pytest.mark.contract("D056")
def test_without_redis_health_is_healthy_and_redis_degraded(ask: Ask, redis_away: GuardedStore) -> None:
    response = ask("/health")
    assert (response.status_code, response.json()["status"]) == (200, "healthy")
    assert response.json()["components"]["redis"] == {
        "status": "degraded",
        "message": "Redis not available - running in fallback mode",
    }


@pytest.mark.contract("D057")
def test_redis_url_wins_over_the_names_for_its_parts_and_every_name_is_honoured(tmp_path: Path) -> None:
    parts = {"REDIS_HOST": "cache", "REDIS_PORT": "6380", "REDIS_PASSWORD": "p@ss", "REDIS_DB": "3"}
    rest = {
        "DB_HOST": "db",
        "DB_USER": "reader",
        "DB_PASSWORD": "secret",
        "DB_DATABASE": "liquidation_data",
        "DB_LIQ_TABLENAME": "my_liqs",
        "CACHE_TTL_SECONDS": "301",
        "CACHE_TTL_SYMBOLS": "3601",
        "QUERY_TIMEOUT_SECONDS": "31",
        "LONG_QUERY_TIMEOUT_SECONDS": "121",
        "PORT": "8001",
        "LIQUI_HOME": str(tmp_path),
    }
    assert environment_read({**rest, **parts}, tmp_path).redis_url == "redis://:p%40ss@cache:6380/3"
    url = "redis://:other@elsewhere:6381/1"
    read = environment_read({**rest, **parts, "REDIS_URL": url}, tmp_path)
    assert read.redis_url == url
    if read.has_database_server:  # that is, if its driver is installed
        place = [read.database[name] for name in ("HOST", "USER", "PASSWORD", "NAME")]
        assert place == ["db", "reader", "secret", "liquidation_data"]
    assert (read.liq_tablename, read.port) == ("my_liqs", 8001)
    assert (read.cache_ttl_seconds, read.cache_ttl_symbols) == (301, 3601)
    assert (read.query_timeout_seconds, read.long_query_timeout_seconds) == (31, 121)
