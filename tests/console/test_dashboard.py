"""The dashboard: cards that each ask for themselves, and say what is wrong within seconds."""

import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.conf import settings
from django.db import OperationalError, connection
from django.test import Client
from django.utils import timezone

from accounts.audit import SYSTEM, record
from cachemgmt.figures import REQUESTS
from cachemgmt.stores import store
from console import slow_queries
from console.health import celery_health
from console.models import Job, Sample, SlowQuery
from console.pages import dashboard
from console.pages.dashboard import CARDS
from console.samples import Counts, points_between, sample_take
from console.tasks import sample
from database import slow
from database.errors import QueryTimeout
from database.reading import reading
from liquidations.services import orders_write
from marketdata.clock import clock_ms
from streams.collecting.status import State, status_write
from streams.gaps import coverage_write
from streams.models import CollectorStatus, OutboxOrder
from tests.backend import server_only
from tests.cachemgmt.troubles import killed
from tests.console.data_pages import signed_in, text_of
from tests.factories import order
from tests.live import wait_until
from tools.servers import PrivateRedis

STREAM = "!forceOrder@arr"
NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


@pytest.fixture
def viewer(db: None) -> Client:
    return signed_in("viewer")


def card(client: Client, name: str, **query: str) -> str:
    response = client.get(f"/admin/dashboard/{name}", query)
    assert response.status_code == 200
    return text_of(response)


def stored(seconds_ago: float, sequence: int) -> OutboxOrder:
    at_ms = clock_ms() - int(seconds_ago * 1000)
    named = {"identity": str(sequence), "symbol": "BTCUSDT", "side": "SELL", "notional": 1.0, "text": "{}"}
    return OutboxOrder(sequence=sequence, event_ms=at_ms, stored_ms=at_ms, **named)


def test_the_page_has_a_card_for_each_question_and_asks_none_itself(viewer: Client) -> None:
    page = text_of(viewer.get("/admin/"))
    for each in CARDS.values():
        assert f'hx-get="/admin/dashboard/{each.name}?span=hour"' in page
        assert f"every {each.every_s}s" in page


def test_all_cards_together_ask_far_less_often_than_clients_may() -> None:
    assert sum(60 / each.every_s for each in CARDS.values()) < 50


@pytest.mark.parametrize("name", CARDS)
def test_every_card_answers_on_an_empty_database_and_says_as_of_when(viewer: Client, name: str) -> None:
    text = card(viewer, name)
    assert "as of <time" in text
    assert "<html" not in text


def test_an_unknown_card_is_not_found(viewer: Client) -> None:
    assert viewer.get("/admin/dashboard/nothing").status_code == 404


@pytest.mark.parametrize("error", [QueryTimeout(2), OperationalError("no such table: x")])
def test_a_card_that_cannot_be_made_says_so_and_the_others_are_there(
    viewer: Client, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def broken() -> Any:
        raise error

    monkeypatch.setattr(dashboard, "live_rate", broken)
    text = card(viewer, "rate")
    assert ("unknown" in text, str(error) in text) == (True, True)
    assert "healthy" in card(viewer, "health")


# Health


def test_the_database_is_healthy_and_says_where_it_is(viewer: Client) -> None:
    assert settings.ENVIRONMENT.database_place in card(viewer, "health")


@pytest.mark.parametrize(
    ("seconds", "status"), [(10, "healthy"), (74, "healthy"), (90, "degraded"), (301, "unhealthy"), (None, "unhealthy")]
)
def test_celery_is_judged_by_its_last_note(seconds: int | None, status: str) -> None:
    last = None if seconds is None else NOON - timedelta(seconds=seconds)
    assert celery_health(last, NOON)[0] == status


def test_celerys_task_is_what_the_dashboard_sees(viewer: Client) -> None:
    assert "no task has run" in card(viewer, "health")
    sample()
    assert "last task 0 s ago" in card(viewer, "health")


def test_a_collector_that_falls_silent_shows_before_ten_seconds_are_over(viewer: Client, settings: Any) -> None:
    settings.LIQUI_FEED = "live"
    assert "no collector is running" in card(viewer, "health")
    status_write("one", State(connected=True, last_message_ms=clock_ms()), clock_ms())
    assert "1 of 1 connected" in card(viewer, "health")
    # Killed: seen no later than that and one pause between two looks.
    silence_s = 4.5
    CollectorStatus.objects.update(updated_ms=clock_ms() - int(silence_s * 1000))
    assert "has said nothing for" in card(viewer, "health")
    assert silence_s + CARDS["health"].every_s < 10


def test_without_a_feed_no_collector_is_missed(viewer: Client) -> None:
    assert "FEED=none collects nothing" in card(viewer, "health")


@server_only("a private Redis")
def test_a_killed_redis_shows_at_the_next_look_and_its_return_too(
    viewer: Client, private_redis: PrivateRedis, monkeypatch: pytest.MonkeyPatch
) -> None:
    from cachemgmt.stores.guarded import GuardedStore
    from cachemgmt.stores.memory import MemoryStore
    from cachemgmt.stores.redis import RedisStore
    from console import health
    from tests.cachemgmt.troubles import cache_client

    guarded = GuardedStore(RedisStore(cache_client(private_redis.url()), "tests"), MemoryStore(1 << 20))
    monkeypatch.setattr(health, "store", lambda: guarded)
    assert "clients" in card(viewer, "health")
    with killed(private_redis):
        began = time.monotonic()
        assert "answering from local memory" in card(viewer, "health")
        assert time.monotonic() - began < 2
    wait_until(lambda: "answering from local memory" not in card(viewer, "health"), 10, "Redis is seen again")


def test_without_redis_it_is_said_to_be_disabled(viewer: Client) -> None:
    if settings.ENVIRONMENT.redis_url:
        assert "clients" in card(viewer, "health")
        assert store().figures()["available"]
    else:
        assert "not configured" in card(viewer, "health")


# Rate


def test_liquidations_are_counted_as_they_are_stored(viewer: Client, settings: Any) -> None:
    settings.LIQUI_FEED = "live"
    OutboxOrder.objects.bulk_create(stored(ago, number) for number, ago in enumerate((1, 20, 90, 3000, 7300), 1))
    text = card(viewer, "rate")
    assert "<dd>2</dd><dt>in the last minute</dt>" in text
    assert "<dd>4</dd><dt>in the last hour</dt>" in text
    assert 'role="img" aria-label="Liquidations a minute over the last hour: between 0 and' in text


def test_a_table_that_another_program_fills_is_counted_by_the_time_of_trades(viewer: Client) -> None:
    orders_write([order(at=clock_ms() - 5000), order(at=clock_ms() - 600_000), order(at=clock_ms() - 7_200_000)])
    text = card(viewer, "rate")
    assert "<dd>1</dd><dt>in the last minute</dt>" in text
    assert "<dd>2</dd><dt>in the last hour</dt>" in text


def test_a_quiet_hour_has_no_chart(viewer: Client) -> None:
    assert "No liquidation has come in" in card(viewer, "rate")


# Traffic and cache


def counts(minute: float, requests: int, hits: int = 0, misses: int = 0) -> Counts:
    return Counts(NOON + timedelta(minutes=minute), requests, hits, 0, misses)


def test_samples_become_rates_of_whole_steps() -> None:
    found = points_between(
        [counts(0, 0), counts(0.5, 30, 3, 1), counts(1, 90, 6, 2), counts(1.5, 90, 6, 2)], timedelta(minutes=1)
    )
    assert [(point.at.minute, point.per_second, point.hit_rate) for point in found] == [(0, 1.0, 75.0), (1, 1.0, 75.0)]


def test_a_restart_is_no_negative_traffic_and_idle_steps_have_no_hit_rate() -> None:
    found = points_between([counts(0, 5000, 100, 100), counts(1, 60)], timedelta(minutes=1))
    assert [(point.requests, point.hits, point.hit_rate) for point in found] == [(60, 0, None)]


def test_what_the_cache_does_is_in_the_next_sample(db: None) -> None:
    sample_take()
    REQUESTS.labels("buckets", "hit").inc(3)
    REQUESTS.labels("buckets", "stale").inc()
    REQUESTS.labels("buckets", "miss").inc(2)
    sample_take()
    before, after = Sample.objects.order_by("id")
    assert (after.hits - before.hits, after.stale - before.stale, after.misses - before.misses) == (4, 1, 2)


def test_samples_are_kept_for_a_day(db: None) -> None:
    sample_take()
    Sample.objects.update(at=timezone.now() - timedelta(hours=25))
    sample_take()
    assert Sample.objects.count() == 1


@pytest.mark.parametrize("span", ["hour", "day", "nonsense"])
def test_traffic_is_drawn_and_told(viewer: Client, span: str) -> None:
    for seconds, requests in ((120, 0), (60, 120)):
        row = Sample.objects.create(requests=requests, hits=requests // 2, stale=0, misses=requests // 4)
        Sample.objects.filter(pk=row.pk).update(at=timezone.now() - timedelta(seconds=seconds))
    text = card(viewer, "traffic", span=span)
    assert "Requests a second: at most 2.0" in text
    assert "Hit rate: 66.7 to 66.7 percent." in text


# Bars, gaps


def test_gaps_of_the_day_are_summed_up(viewer: Client, settings: Any) -> None:
    settings.LIQUI_FEED = "live"
    now = clock_ms()
    coverage_write(
        "binance", "one", [(STREAM, now - 90_000_000, now - 7_200_000), (STREAM, now - 3_600_000, now + 1000)]
    )
    text = card(viewer, "gaps")
    assert "<dd>1</dd><dt>gaps</dt>" in text
    assert "<dd>1 h</dd><dt>not covered</dt>" in text


# Slow queries


@pytest.fixture
def threshold(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every read is slow, and nobody takes them away meanwhile."""
    settings.SLOW_QUERY_MS = 0
    monkeypatch.setattr(slow, "listeners", [])
    slow.take()


def test_a_slow_read_is_noted_with_its_statement_and_shown(viewer: Client, threshold: None) -> None:
    with reading(5) as reader:
        reader.value("SELECT %s + 1", [41])
    reads = slow.take()
    slow_queries.slow_queries_keep(reads[-1:])
    assert (reads[-1].statement, reads[-1].parameters, reads[-1].is_ended) == ("SELECT %s + 1", "41", False)
    assert "SELECT %s + 1" in card(viewer, "slow")
    assert "SELECT %s + 1" in text_of(viewer.get("/admin/slow-queries"))


def test_a_quick_read_is_not_noted(db: None, threshold: None, settings: Any) -> None:
    settings.SLOW_QUERY_MS = 60_000
    with reading(5) as reader:
        reader.value("SELECT 1")
    assert slow.take() == []


def test_a_listener_that_fails_does_not_fail_the_read(db: None, threshold: None) -> None:
    def broken() -> None:
        raise RuntimeError

    slow.listeners.append(broken)
    with reading(5) as reader:
        assert reader.value("SELECT 1") == 1


def test_no_more_slow_reads_wait_than_are_worth_it(threshold: None) -> None:
    for number in range(3 * slow.MOST):
        slow.note(f"SELECT {number}", [], 1.0, is_ended=False)
    assert [read.statement for read in slow.take()][-1] == f"SELECT {3 * slow.MOST - 1}"
    assert slow.take() == []


def test_the_table_of_slow_reads_stays_small(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slow_queries, "MOST", 3)
    old = slow.SlowRead(time.time() - 90_000, 9.0, "SELECT old", "", False)
    slow_queries.slow_queries_keep([old])
    slow_queries.slow_queries_keep([slow.SlowRead(time.time(), 1.0, f"SELECT {n}", "", False) for n in range(5)])
    assert sorted(SlowQuery.objects.values_list("statement", flat=True)) == ["SELECT 2", "SELECT 3", "SELECT 4"]


def test_a_thread_writes_slow_reads_down(transactional_db: None, settings: Any) -> None:
    settings.SLOW_QUERY_MS = 0
    with reading(5) as reader:
        reader.value("SELECT 12345")
    settings.SLOW_QUERY_MS = 500

    def is_kept() -> bool:
        connection.close()
        return SlowQuery.objects.filter(statement="SELECT 12345").exists()

    wait_until(is_kept, 10, "the read is in the table")


# Imports and exports


def test_imports_at_work_and_what_the_log_knows_are_shown(viewer: Client) -> None:
    record(SYSTEM, "orders.export", "BTCUSDT", amount=12)
    record(SYSTEM, "import.finish", "<b>.csv", amount=7, outcome="failed")
    record(SYSTEM, "cache.clear", "*", amount=1)
    Job.objects.create(kind="import", target="new.csv", actor="operator", state=Job.State.RUNNING)
    text = card(viewer, "activity")
    assert text.index("new.csv") < text.index("&lt;b&gt;.csv") < text.index("BTCUSDT")
    assert ("7 rows" in text, "cache" in text) == (True, False)


# Who sees it, and whose data it is


@pytest.mark.parametrize("role", ["viewer", "operator", "administrator"])
def test_the_navigation_shows_what_the_role_may_see(db: None, role: str) -> None:
    page = text_of(signed_in(role).get("/admin/"))
    assert ("Collector" in page, "Audit log" in page) == (True, True)
    assert ("/admin/auth/user/" in page) == (role == "administrator")
    assert ("/admin/accounts/apikey/" in page) == (role == "administrator")
    for removed in ("auth/group", "token_blacklist"):
        assert removed not in page


@pytest.mark.parametrize(
    ("feed", "said"), [("simulated", "SIMULATED"), ("replay", "SIMULATED"), ("sample", "SAMPLE DATA")]
)
def test_made_up_data_is_said_on_every_page(viewer: Client, settings: Any, feed: str, said: str) -> None:
    settings.LIQUI_FEED = feed
    for path in ("/admin/", "/admin/gaps", "/admin/accounts/auditentry/"):
        assert said in text_of(viewer.get(path))


def test_ones_own_data_is_not_called_made_up(viewer: Client) -> None:
    assert 'class="made-up"' not in text_of(viewer.get("/admin/"))
