"""The page of bars: how far they reach, verifying, repairing and rebuilding as jobs."""

from typing import Any

import pytest
from django.db import connection
from django.test import Client

from accounts.models import AuditEntry
from console.models import Job
from console.pages import bars as bars_page
from console.tasks import run_job
from liquidations.bars import bars_build, bars_status
from liquidations.models import LiquidationBar
from liquidations.services import orders_write
from tests.bulk import rows_fill
from tests.console.data_pages import signed_in, text_of
from tests.factories import DAY, MINUTE, T0, order

pytestmark = pytest.mark.django_db

PAGE = "/admin/bars"


@pytest.fixture
def operator() -> Client:
    return signed_in("operator")


@pytest.fixture
def built(db: None) -> None:
    """Three days of BTCUSDT and one of ETHUSDT, in bars."""
    orders_write([order(at=T0 + day * DAY + number * MINUTE) for day in range(3) for number in range(5)])
    orders_write([order(symbol="ETHUSDT")])
    bars_build()


def asked(client: Client, verb: str, **fields: str) -> Job:
    """The job of a form, after its worker."""
    response = client.post(f"{PAGE}/{verb}", {"symbol": "", "start": "", "end": "", **fields})
    assert response.status_code == 302, text_of(response)
    job = Job.objects.latest("pk")
    assert response["Location"] == f"/admin/jobs/{job.pk}"
    run_job(job.pk)
    job.refresh_from_db()
    return job


def spoil(day: int) -> None:
    """Somebody else changes a row of BTCUSDT, of which nobody tells the bars."""
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE binance_liqs SET average_price = 1 WHERE symbol = 'BTCUSDT' AND order_trade_time = %s",
            [T0 + day * DAY],
        )


@pytest.mark.usefixtures("built")
def test_the_page_says_how_far_bars_reach_and_how_many_there_are() -> None:
    orders_write([order(at=T0 + MINUTE * 7)])
    page = text_of(signed_in("viewer").get(PAGE))
    for figure in ("bars of 1m", "bars of 1h", "bars of 1d", "stale days", "behind the clock"):
        assert figure in page
    assert '<td>BTCUSDT</td><td class="is-number">1</td>' in page
    assert "Verify or rebuild" not in page


def test_the_page_says_that_nothing_is_built_yet() -> None:
    assert "Bars have not been built yet" in text_of(signed_in("viewer").get(PAGE))


@pytest.mark.usefixtures("built")
def test_too_many_bars_are_not_counted_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM binance_liqs")
    rows_fill(20_000, step_ms=MINUTE)
    monkeypatch.setattr(bars_page, "COUNT_SECONDS", 0)
    assert signed_in("viewer").get(PAGE).status_code == 200


@pytest.mark.usefixtures("built")
def test_right_bars_are_verified(operator: Client) -> None:
    job = asked(operator, "verify")
    assert (job.state, job.message, job.percent) == ("done", "Every bar equals the table.", 100)
    assert job.result == {"amount": 0, "differences": [], "repaired": False}


@pytest.mark.usefixtures("built")
def test_differences_are_listed_and_repaired_when_asked(operator: Client) -> None:
    spoil(0)
    spoil(2)
    job = asked(operator, "verify")
    assert job.message == "2 days differ from the table."
    assert job.result["differences"][0] == "BTCUSDT 2024-01-01: bars differ from the table"
    page = text_of(operator.get(PAGE))
    assert f"/admin/bars/repair/{job.pk}" in page
    assert "BTCUSDT 2024-01-03" in page
    repair = asked(operator, f"repair/{job.pk}")
    assert repair.message == "2 days differed from the table and were built again."
    assert bars_status().stale_days == 0
    assert f"/admin/bars/repair/{repair.pk}" not in text_of(operator.get(PAGE))
    assert asked(operator, "verify").message == "Every bar equals the table."
    actions = AuditEntry.objects.filter(action__startswith="bars.").order_by("pk").values_list("action", "amount")
    assert list(actions) == [
        ("bars.verify", None), ("bars.verify.finish", 2),
        ("bars.repair", None), ("bars.verify.finish", 2),
        ("bars.verify", None), ("bars.verify.finish", 0),
    ]  # fmt: skip


@pytest.mark.usefixtures("built")
def test_a_window_and_a_symbol_bound_the_work(operator: Client) -> None:
    spoil(0)
    assert asked(operator, "verify", symbol="ethusdt").result["amount"] == 0
    assert asked(operator, "verify", symbol="btcusdt", start="2024-01-02T00:00").result["amount"] == 0
    assert asked(operator, "verify", symbol="btcusdt", end="2024-01-02T00:00").result["amount"] == 1


@pytest.mark.usefixtures("built")
def test_only_so_many_differences_are_kept(operator: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("console.bars_jobs.SHOWN_DIFFERENCES", 1)
    spoil(0)
    spoil(1)
    job = asked(operator, "verify")
    assert (job.result["amount"], len(job.result["differences"])) == (2, 1)


@pytest.mark.usefixtures("built")
def test_a_rebuild_makes_every_bar_again(operator: Client) -> None:
    spoil(0)
    LiquidationBar.objects.filter(symbol="ETHUSDT").delete()
    job = asked(operator, "rebuild")
    assert (job.state, job.message) == ("done", "4 days of 2 symbols were built again.")
    assert asked(operator, "verify").result["amount"] == 0
    assert LiquidationBar.objects.filter(symbol="ETHUSDT").exists()


@pytest.mark.usefixtures("built")
def test_a_second_one_is_not_started_beside_the_first(operator: Client) -> None:
    operator.post(f"{PAGE}/rebuild", {})
    running = Job.objects.get()
    response = operator.post(f"{PAGE}/verify", {}, follow=True)
    assert response.redirect_chain == [(f"/admin/jobs/{running.pk}", 302)]
    assert "Another one is under way" in text_of(response)
    assert "is under way" in text_of(operator.get(PAGE))
    assert Job.objects.count() == 1


@pytest.mark.parametrize("fields", [{"start": "soon"}, {"start": "2024-01-02T00:00", "end": "2024-01-01T00:00"}])
def test_a_window_that_makes_no_sense_is_named(operator: Client, fields: dict[str, str]) -> None:
    response = operator.post(f"{PAGE}/rebuild", fields)
    assert "field-fault" in text_of(response)
    assert not Job.objects.exists()


def test_a_repair_of_nothing_is_told(operator: Client) -> None:
    assert "There is nothing to repair" in text_of(operator.post(f"{PAGE}/repair/4711", follow=True))


@pytest.mark.parametrize("route", ["verify", "rebuild", "repair/1"])
def test_acting_needs_an_operator_and_a_post(operator: Client, route: str) -> None:
    assert signed_in("viewer").post(f"{PAGE}/{route}").status_code == 403
    assert operator.get(f"{PAGE}/{route}").status_code == 405
    strict: Any = Client(enforce_csrf_checks=True)
    strict.cookies = operator.cookies
    assert strict.post(f"{PAGE}/{route}").status_code == 403
