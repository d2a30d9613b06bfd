"""The collector's page, and what is asked of a collector there: through the database, so of one on any machine."""

import asyncio
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.db import connection
from django.test import Client

from accounts.models import AuditEntry
from marketdata.clock import clock_ms
from streams.collecting.status import MarketState, State, status_write
from streams.commands import FRESH_MS, KEPT_MS, command_ask, commands_last, commands_prune, commands_take
from streams.gaps import gaps
from streams.models import CollectorCommand
from tests.console.data_pages import signed_in, text_of
from tests.streams.collecting.test_collector import STREAM, collecting, connected, inject, setting
from tests.streams.simulator.running import running, until

__all__ = ["setting"]

NOW = 1_795_000_000_000


@pytest.fixture
def operator(db: None) -> Client:
    return signed_in("operator")


def part(client: Client) -> str:
    return text_of(client.get("/admin/collector/part"))


def test_an_empty_page_says_how_to_start_a_collector(operator: Client) -> None:
    assert "FEED=none collects nothing here" in text_of(operator.get("/admin/collector"))
    assert "No collector has been seen within a day" in part(operator)


def test_each_collector_is_shown_with_its_state(operator: Client) -> None:
    state = State(
        connected=True, received=1204, stored=1200, spooled=4, breaker="half-open", last_message_ms=clock_ms()
    )
    status_write("one", state, clock_ms())
    status_write("<b>two", State(fault="connection refused"), clock_ms() - 60_000)
    text = part(operator)
    for said in (
        "connected",
        "half-open",
        "1204 orders",
        "&lt;b&gt;two",
        "connection refused",
        "It has said nothing for 1 min",
    ):
        assert said in text


def test_what_a_collector_does_on_demand_is_shown(operator: Client) -> None:
    market = MarketState(feeds=3, streams_wanted=4, streams_received=4, books=2, books_live=1, book_gaps=1, trades=77)
    status_write("one", State(connected=True, market=market), clock_ms())
    for said in (
        "3 feeds in demand, 4 of 4 streams received",
        "1 of 2 live",
        "being built",
        "1 gap, 0 times built",
        "77",
    ):
        assert said in part(operator)
    status_write("one", State(connected=True), clock_ms())
    assert "nobody asks for any now" in part(operator)


def test_who_only_looks_finds_no_buttons_and_cannot_ask(db: None) -> None:
    status_write("one", State(), clock_ms())
    viewer = signed_in("viewer")
    assert "<button" not in part(viewer)
    refused = viewer.post("/admin/collector/ask/retry", {"collector": "one"})
    assert refused.status_code == 403
    assert "role of operator" in text_of(refused)
    assert not CollectorCommand.objects.exists()


@pytest.mark.parametrize("action", ["retry", "reconnect"])
def test_asking_is_kept_audited_and_shown_until_it_is_taken(operator: Client, action: str) -> None:
    status_write("one", State(), clock_ms())
    answer = operator.post(f"/admin/collector/ask/{action}", {"collector": "one"}, follow=True)
    assert "one is asked to" in text_of(answer)
    assert "waiting" in part(operator)
    assert commands_take("one", clock_ms()) == [action]
    assert "The collector took it at" in part(operator)
    entry = AuditEntry.objects.get(action=f"collector.{action}")
    assert (entry.actor, entry.target) == ("operator", "one")


def test_only_what_exists_can_be_asked_and_only_by_post(operator: Client) -> None:
    status_write("one", State(), clock_ms())
    assert operator.post("/admin/collector/ask/retry", {"collector": "two"}).status_code == 404
    assert operator.post("/admin/collector/ask/explode", {"collector": "one"}).status_code == 404
    assert operator.get("/admin/collector/ask/retry", {"collector": "one"}).status_code == 405
    strict = Client(enforce_csrf_checks=True)
    strict.cookies = operator.cookies
    assert strict.post("/admin/collector/ask/retry", {"collector": "one"}).status_code == 403
    assert not CollectorCommand.objects.exists()


def test_a_command_is_taken_once_by_its_collector_alone_and_in_order(db: None) -> None:
    for action in ("retry", "reconnect", "retry"):
        command_ask("one", action, "somebody", NOW)
    assert commands_take("two", NOW + 1) == []
    assert commands_take("one", NOW + 1) == ["retry", "reconnect", "retry"]
    assert commands_take("one", NOW + 2) == []


def test_what_was_asked_of_a_collector_that_was_away_is_missed(db: None) -> None:
    command_ask("one", "retry", "somebody", NOW)
    assert commands_last(NOW + 1)["one"].state == "waiting"
    assert commands_take("one", NOW + FRESH_MS) == []
    assert commands_last(NOW + FRESH_MS)["one"].state == "missed"


def test_old_commands_are_forgotten(db: None) -> None:
    command_ask("one", "retry", "somebody", NOW)
    assert commands_prune(NOW + KEPT_MS) == 0
    assert commands_prune(NOW + KEPT_MS + 1) == 1


@sync_to_async(thread_sensitive=False)
def ask(action: Any) -> None:
    try:
        command_ask("one", action, "somebody", clock_ms())
    finally:
        connection.close()


def test_a_running_collector_connects_anew_without_a_gap(setting: Any) -> None:
    async def scenario() -> int:
        async with running() as exchange:
            setting(exchange)
            async with collecting(haste=5) as collector:
                await connected(collector)
                started_ms = clock_ms()
                await ask("reconnect")
                await until(lambda: collector.follower.connections == 2)
                await inject(exchange, 1_795_000_000_001)
                # From one connection or from both.
                await until(lambda: collector.state.received > 0 and collector.spool.pending == 0)
                # The one before is closed once both have been read for a while.
                await until(lambda: len(collector.follower.sessions) == 1)
                assert collector.follower.failures == 0
        return started_ms

    started_ms = asyncio.run(scenario())
    assert [gap for gap in gaps(STREAM, started_ms, clock_ms(), clock_ms()) if gap.end_ms is not None] == []
    assert commands_last(clock_ms())["one"].state == "taken"


def test_a_running_collector_closes_its_breaker_and_tries_again_at_once(setting: Any) -> None:
    async def scenario() -> None:
        async with running() as exchange:
            setting(exchange)
            await exchange.tell("handshakes", status=503, seconds=60)
            async with collecting(haste=20) as collector:
                # Without being asked it would wait for the minute that the breaker is open.
                collector.follower.breaker.haste = 1
                await until(lambda: collector.follower.breaker.opened_until is not None)
                await exchange.tell("handshakes", status=503, seconds=0)
                await ask("retry")
                await connected(collector)

    asyncio.run(scenario())
    assert commands_last(clock_ms())["one"].state == "taken"
