"""The console's pages about the cache: what they show, whom they let act, and what is written down of it."""

import html
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import msgspec
import pytest
from django.conf import settings as configured
from django.test import Client

from accounts.models import AuditEntry
from cachemgmt import browsing, figures
from cachemgmt.stores import store
from cachemgmt.stores.changes import DatabaseChanges
from cachemgmt.types import Entry
from console import jobs
from console.models import Job
from console.pages import cache as page
from console.tasks import run_job
from liquidations.caching import symbol_scope
from tests.backend import IS_SQLITE, server_only
from tests.cache import cache_empty, kept_keys
from tests.cachemgmt.kept import entry, keep, key
from tests.cachemgmt.troubles import killed
from tests.console.data_pages import signed_in
from tests.factories import HOUR, T0, order
from tests.live import ROOT, LiveServer, serving, wait_until
from tools.servers import PrivateRedis

Ask = Callable[..., Any]
Write = Callable[..., Any]

CACHE, KEYS, KEY, REMOVE = (f"/admin/cache{part}" for part in ("", "/keys", "/key", "/remove"))
WARM, RETRY = "/admin/cache/warm", "/admin/cache/retry"
# Whatever a client asks about stands in the keys, whether there is such a symbol or not.
SCRIPT = "<script>alert(1)</script>"

pytestmark = pytest.mark.usefixtures("kept")


@pytest.fixture
def ask(client: Client) -> Ask:
    """GET ``path`` with the keyword arguments as parameters, as anybody."""
    return lambda path, **parameters: client.get(path, parameters)


@pytest.fixture
def kept(write: Write, ask: Ask) -> None:
    """Two answers about BTCUSDT, one about ETHUSDT, the list of symbols and one that there is nothing are kept."""
    cache_empty()
    write([order(T0), order(T0, symbol="ETHUSDT")])
    ask("/api/liquidations", symbol="BTCUSDT", timeframe="1h", start_timestamp=T0, end_timestamp=T0 + HOUR)
    ask("/api/liquidation-orders", symbol="BTCUSDT", limit=5)
    ask("/api/liquidation-orders", symbol="ETHUSDT", limit=5)
    ask("/api/symbols")
    assert ask("/api/liquidation-orders", symbol=SCRIPT, limit=5).status_code == 404


@pytest.fixture
def viewer() -> Client:
    return signed_in("viewer")


@pytest.fixture
def operator() -> Client:
    return signed_in("operator")


def text_of(client: Client, path: str, **query: str) -> str:
    """The words of a page, without its tags."""
    response: Any = client.get(path, query)
    assert response.status_code == 200, response
    return words(response.content.decode())


def words(page: str) -> str:
    content = page.partition('<div class="console">')[2] or page
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", content)).split())


def messages_after(response: Any, client: Client) -> str:
    """What is said on the page that an action leads to."""
    assert response.status_code == 302, response
    page: Any = client.get(response["Location"])
    return html.unescape(page.content.decode())


def audited() -> list[tuple[str, str, str, int | None, str]]:
    entries = AuditEntry.objects.filter(action__startswith="cache.").order_by("pk")
    return list(entries.values_list("actor", "action", "target", "amount", "outcome"))


# What is shown


def test_the_cache_page_shows_what_each_namespace_holds_and_saves(viewer: Client, ask: Ask) -> None:
    for _ in range(3):
        ask("/api/symbols")
    shown = text_of(viewer, CACHE)
    assert "5 answers kept" in shown
    assert "orders /api/liquidation-orders 3 " in shown
    assert "liq /api/liquidations 1 " in shown
    assert store().name in shown
    assert re.search(r"Epoch begun \d{9,}", shown)
    assert re.search(r"answered from the cache", shown)
    assert re.search(r"As of \d\d:\d\d:\d\d UTC", shown)
    assert "at least" not in shown


def test_a_count_that_was_ended_early_says_at_least(viewer: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(figures, "MAX_LOOKED_AT", 2)
    shown = text_of(viewer, CACHE)
    assert "at least 2 answers kept" in shown
    assert "the least there are" in shown


def test_the_part_that_refreshes_is_a_part_of_the_page(viewer: Client) -> None:
    part = viewer.get("/admin/cache/figures").content.decode()
    assert "<html" not in part
    assert "Namespaces" in part
    assert 'hx-get="/admin/cache/figures"' in viewer.get(CACHE).content.decode()


def test_every_key_is_listed_with_size_age_time_left_and_state(viewer: Client) -> None:
    shown = text_of(viewer, KEYS)
    assert all(name in shown for name in kept_keys())
    assert re.search(r"symbols:all fresh \d s 2 h 59 min|symbols:all fresh \d s", shown)
    assert shown.count(" fresh ") == 5
    assert "First page" not in shown


@pytest.mark.parametrize(
    ("search", "found"),
    [
        ("btcusdt", 2),
        ("BTCusdt", 2),
        ("orders:", 3),
        ("orders:*", 3),
        ("liq:BTC*", 1),
        ("btc*", 0),
        ("symbols:all", 1),
        ("<script>", 1),
        ("漢字", 0),
        ("[", 0),
        ("*" * 200, 5),
    ],
)
def test_a_search_is_a_glob_or_a_part_of_a_key_in_any_case(viewer: Client, search: str, found: int) -> None:
    content = viewer.get(KEYS, {"search": search}).content.decode()
    assert content.count('title="served as it is"') == found


def test_a_search_that_is_too_long_is_refused_by_name(viewer: Client) -> None:
    said = messages_after(viewer.get(KEYS, {"search": "x" * 201}), viewer)
    assert "xxxxxxxxxxxxxxxxxxxx… is too long: 201 characters" in said


def test_pages_follow_each_other_by_cursor_until_every_key_was_shown(viewer: Client) -> None:
    for number in range(120):
        keep(store(), key(f"{number:03}"))
    seen: list[str] = []
    link = "?search=test:"
    for _ in range(20):
        content = html.unescape(viewer.get(f"{KEYS}{link}").content.decode())
        seen += re.findall(r"<code>(test:\d+)</code>", content)
        following = re.search(r'href="(\?[^"]*)" rel="next"', content)
        if not following:
            break
        link = following[1]
    assert sorted(set(seen)) == [f"test:{number:03}" for number in range(120)]
    assert len(seen) < 200
    assert "First page" in content


@pytest.mark.parametrize("cursor", ["x", "-1", "9" * 30, "'; DROP TABLE", SCRIPT])
def test_a_cursor_that_was_made_up_is_no_error(viewer: Client, cursor: str) -> None:
    response: Any = viewer.get(KEYS, {"cursor": cursor})
    assert response.status_code == 200
    assert SCRIPT not in response.content.decode()
    assert not store().trouble


def test_a_key_is_shown_with_its_query_its_age_its_generation_and_its_body(viewer: Client) -> None:
    shown = text_of(viewer, KEY, key=f"liq:BTCUSDT:1h:{T0}:{T0 + HOUR}")
    asked = f"symbol=BTCUSDT&timeframe=1h&start_timestamp={T0}&end_timestamp={T0 + HOUR}"
    assert f"GET /api/liquidations?{asked}" in shown
    assert f"Depends on {symbol_scope('BTCUSDT')}" in shown
    assert re.search(r"Generation made at \d+, now \d+", shown)
    assert '"side": "sell"' in shown
    assert "State fresh" in shown


def test_an_answer_is_outdated_when_its_data_have_changed_and_stale_when_it_has_expired(
    viewer: Client, write: Write
) -> None:
    name = f"liq:BTCUSDT:1h:{T0}:{T0 + HOUR}"
    write([order(T0 + 1)])
    assert "State outdated" in text_of(viewer, KEY, key=name)
    begun = store().begin(key("old"))
    store().save(key("old"), entry(begun, fresh_s=1, made_ms=int(time.time() * 1000) - 5000), 60, begun)
    assert "State stale" in text_of(viewer, KEY, key="test:old")
    assert "Fresh for" not in text_of(viewer, KEY, key="test:old")


@pytest.mark.parametrize("name", ["none", "*", "orders:*", "", SCRIPT, "x" * 5000])
def test_a_key_that_is_not_kept_is_said_to_be_gone(viewer: Client, name: str) -> None:
    response: Any = viewer.get(KEY, {"key": name})
    assert response.status_code == 404
    assert "This key is not kept" in response.content.decode()
    assert SCRIPT not in response.content.decode()


def test_nothing_that_clients_have_made_up_is_run_by_the_browser(operator: Client) -> None:
    name = next(name for name in kept_keys() if "script" in name.lower())
    body = b'["' + SCRIPT.encode() + b'"]'
    keep(store(), key("body"), body)
    for path, query in (
        (CACHE, {}),
        (KEYS, {"search": SCRIPT}),
        (KEY, {"key": name}),
        (KEY, {"key": "test:body"}),
        (REMOVE, {"kind": "symbol", "value": SCRIPT}),
        (REMOVE, {"kind": "pattern", "value": f"*{SCRIPT}"}),
        (REMOVE, {"kind": "key", "value": SCRIPT}),
    ):
        content = operator.get(path, query).content.decode()
        assert SCRIPT not in content
        assert SCRIPT.upper() not in content
    operator.post(REMOVE, {"kind": "symbol", "value": SCRIPT})
    content = operator.get(CACHE).content.decode()
    assert SCRIPT.upper() not in content
    assert "&lt;SCRIPT&gt;" in content


def test_a_large_body_is_shown_in_part_and_decompressed_no_further() -> None:
    begun = store().begin(key())
    whole = entry(begun, b"[" + b"1," * 100_000 + b"1]")
    text, is_whole = browsing.preview(whole)
    assert not is_whole
    assert text.startswith("[\n  1,\n")
    assert len(text) == browsing.PREVIEW_BYTES
    packed = browsing.beginning(bomb(whole), browsing.SET_OUT_BYTES)
    assert len(packed) == browsing.SET_OUT_BYTES
    text, is_whole = browsing.preview(bomb(whole))
    assert (text[:3], len(text), is_whole) == ("000", browsing.PREVIEW_BYTES, False)
    assert browsing.preview(msgspec.structs.replace(whole, body=b'{"a":"\xff')) == ('{"a":"\ufffd', True)


def bomb(like: Entry) -> Entry:
    import gzip

    return msgspec.structs.replace(like, body=gzip.compress(b"0" * (64 << 20)), is_gzipped=True)


# Acting


def test_a_viewer_sees_everything_and_is_offered_no_action(viewer: Client, operator: Client) -> None:
    for path in (CACHE, KEYS):
        assert not re.search("Remove |Warm now", text_of(viewer, path))
        assert "Remove " in text_of(operator, path)
    assert "Remove…" not in text_of(viewer, KEY, key="symbols:all")
    assert viewer.get(REMOVE, {"kind": "symbols"}).status_code == 403
    for path in (REMOVE, WARM, RETRY):
        assert viewer.post(path, {"kind": "pattern", "value": "*"}).status_code == 403
    assert len(kept_keys()) == 5
    assert Job.objects.count() == 0


def test_who_has_no_role_sees_nothing() -> None:
    for client in (Client(), signed_in("user")):
        for path in (CACHE, KEYS, KEY, REMOVE, "/admin/cache/figures", "/admin/jobs"):
            response: Any = client.get(path)
            assert response.status_code == 302
            assert "/admin/login/" in response["Location"]


@pytest.mark.parametrize("path", [WARM, RETRY])
def test_a_link_changes_nothing(operator: Client, path: str) -> None:
    assert operator.get(path).status_code == 405


def test_a_foreign_page_changes_nothing() -> None:
    client = signed_in("operator")
    client.handler.enforce_csrf_checks = True
    for path in (REMOVE, WARM, RETRY):
        assert client.post(path, {"kind": "pattern", "value": "*"}).status_code == 403
    assert len(kept_keys()) == 5


def test_before_answers_are_removed_a_page_says_how_many_and_which(operator: Client) -> None:
    shown = text_of(operator, REMOVE, kind="symbol", value="btcusdt")
    assert "Remove the answers about BTCUSDT?" in shown
    assert "2 answers match now" in shown
    assert "orders:BTCUSDT:latest:5" in shown
    assert len(kept_keys()) == 5
    assert "1 answer matches now" in text_of(operator, REMOVE, kind="symbols", value="")
    assert "Remove all answers? 5 answers match now" in text_of(operator, REMOVE, kind="pattern", value="*")
    assert "3 answers match now" in text_of(operator, REMOVE, kind="pattern", value="orders:")
    assert "No answer matches now" in text_of(operator, REMOVE, kind="symbol", value="NONE")


def test_a_count_before_removing_is_limited_in_time(operator: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(browsing, "COUNT_SECONDS", -1)
    assert "At least 1 answer matches now" in text_of(operator, REMOVE, kind="pattern", value="*")


def test_what_is_removed_is_counted_said_and_written_down(operator: Client, ask: Ask) -> None:
    for kind, value, amount, action in (
        ("symbol", "btcusdt", 2, "cache.invalidate"),
        ("symbols", "", 1, "cache.invalidate-symbols"),
        ("key", "orders:ETHUSDT:latest:5", 1, "cache.clear"),
        ("pattern", "*", 1, "cache.clear"),
    ):
        said = messages_after(operator.post(REMOVE, {"kind": kind, "value": value}), operator)
        assert f"{amount} answer{'s' * (amount != 1)} removed" in said
        assert audited()[-1] == ("operator", action, value or kind, amount, "done")
    assert kept_keys() == []
    assert ask("/api/symbols").headers["X-Cache"] == "miss"


def test_a_double_click_is_one_removal(operator: Client) -> None:
    for _ in range(2):
        said = messages_after(operator.post(REMOVE, {"kind": "symbol", "value": "BTCUSDT"}), operator)
        assert "2 answers removed" in said
    assert len(audited()) == 1


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "Say what is to be removed"),
        ({"kind": "symbol"}, "Say what is to be removed"),
        ({"kind": "pattern", "value": "  "}, "Say what is to be removed"),
        ({"kind": "table", "value": "x"}, "Say what is to be removed"),
        ({"kind": "symbol", "value": "x" * 201}, "xxxxxxxxxxxxxxxxxxxx… is too long: 201 characters"),
        ({"kind": "pattern", "value": "x" * 1001}, "xxxxxxxxxxxxxxxxxxxx… is too long: 1,001 characters"),
    ],
)
def test_a_removal_of_nothing_or_too_much_is_refused(operator: Client, given: dict[str, str], said: str) -> None:
    assert said in messages_after(operator.get(REMOVE, given), operator)
    assert said in messages_after(operator.post(REMOVE, given), operator)
    assert len(kept_keys()) == 5
    assert audited() == []


@pytest.mark.skipif(not IS_SQLITE, reason="there is a Redis")
def test_without_redis_other_processes_are_told_to_remove_too(operator: Client) -> None:
    other = DatabaseChanges()
    assert list(other.news()) == []
    operator.post(REMOVE, {"kind": "symbol", "value": "BTCUSDT"})
    other.next_look = 0
    assert [pattern for _, pattern in other.news() if pattern] == ["liq:BTCUSDT:*", "orders:BTCUSDT:*"]


# Warming


def test_warming_is_a_job_with_progress_and_a_result(operator: Client, settings: Any) -> None:
    settings.CACHE_TTL_RECENT_SECONDS = settings.CACHE_TTL_NEGATIVE_SECONDS = 60
    assert operator.post(WARM).status_code == 302
    job = Job.objects.get()
    assert (job.kind, job.state, job.actor) == ("cache.warm", Job.State.WAITING, "operator")
    assert "Celery has not taken it up yet" in text_of(operator, CACHE)
    assert "Warm now" not in text_of(operator, CACHE)
    run_job(job.pk)
    job.refresh_from_db()
    assert (job.state, job.done, job.total) == (Job.State.DONE, 36, 36)
    assert job.result["amount"] > 30
    assert "answers made" in job.message
    assert ("operator", "cache.warm.finish", "", job.result["amount"], "done") in audited()
    shown = text_of(operator, CACHE)
    assert "Warm now" in shown
    assert f"{job.result['amount']} answers made" in shown


def test_warming_that_is_under_way_is_shown_and_not_started_again(operator: Client) -> None:
    operator.post(WARM)
    said = messages_after(operator.post(WARM), operator)
    assert "being warmed already" in said
    assert Job.objects.count() == 1


def test_a_job_watches_the_run_that_somebody_else_has_begun(operator: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    from cachemgmt import warming

    progress = warming.begin()
    assert progress is not None
    progress.total, progress.done, progress.made = 3, 1, 1
    warming.tell(progress)
    assert "1 of 3 answers looked at" in text_of(operator, CACHE)

    def others_go_on(_: float) -> None:
        progress.done += 1
        progress.is_running = progress.done < 3
        warming.tell(progress)

    # Its own clock: other threads of this process sleep as well.
    monkeypatch.setattr("console.cache_jobs.time", SimpleNamespace(sleep=others_go_on))
    operator.post(WARM)
    job = Job.objects.get()
    run_job(job.pk)
    job.refresh_from_db()
    assert (job.state, job.done, job.result["amount"]) == (Job.State.DONE, 3, 1)


def test_warming_without_a_database_fails_with_a_reason(operator: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    from cachemgmt import warming

    def die(*_: object) -> None:
        raise warming.DatabaseError(2006, "gone")

    monkeypatch.setattr(warming, "refresh", die)
    operator.post(WARM)
    job = Job.objects.get()
    run_job(job.pk)
    job.refresh_from_db()
    assert job.state == Job.State.FAILED
    assert "the database cannot be used" in job.message
    assert audited()[-1][-1] == "failed"


def test_the_kinds_of_jobs_have_their_work(operator: Client) -> None:
    assert page.WARM in jobs.works


# Servers


def cookies_of(role: str) -> dict[str, str]:
    """For a server over the same database and with the same secret."""
    return {"sessionid": signed_in(role).cookies["sessionid"].value}


def act(live: LiveServer, session: httpx.Client, path: str, **form: str) -> str:
    token = session.get(f"{live.root}{CACHE}").cookies.get("csrftoken") or session.cookies["csrftoken"]
    response = session.post(
        f"{live.root}{path}", data=form | {"csrfmiddlewaretoken": token}, follow_redirects=True, timeout=30
    )
    assert response.status_code == 200, response
    return html.unescape(response.text)


@pytest.mark.slow
def test_an_operator_warms_and_the_next_request_hits_removes_and_it_misses(tmp_path: Path) -> None:
    with (
        serving("asgi", tmp_path, SECRET_KEY=configured.SECRET_KEY, CACHE_TTL_RECENT_SECONDS="60") as live,
        httpx.Client(cookies=cookies_of("operator"), verify=False) as session,
    ):

        def state() -> str:
            return live.get("/api/liquidation-orders", symbol="BTCUSDT", limit=50).headers["X-Cache"]

        wait_until(lambda: "cache warmed" in live.log, 30, "the server's worker has warmed at its start")
        act(live, session, REMOVE, kind="pattern", value="*")
        act(live, session, WARM)
        wait_until(lambda: Job.objects.get().state == Job.State.DONE, 60, "Celery has done the job")
        assert state() == "hit"
        assert "removed: the answers about BTCUSDT" in act(live, session, REMOVE, kind="symbol", value="BTCUSDT")
        assert state() == "miss"


@contextmanager
def celery_worker(live: LiveServer) -> Iterator[None]:
    """A process of its own over the same queue."""
    command = [sys.executable, "-m", "celery", "-A", "liqui", "worker", "--pool", "solo"]
    with open(live.log_path, "ab") as log:
        process = subprocess.Popen(command, cwd=ROOT, env=live.environment, stdout=log, stderr=log)
    try:
        yield
    finally:
        process.kill()
        process.wait()


@server_only("without Redis an answer is of no use to another process")
@pytest.mark.slow
def test_a_worker_of_its_own_warms_for_all_processes(tmp_path: Path) -> None:
    with (
        serving("wsgi", tmp_path, SECRET_KEY=configured.SECRET_KEY, CACHE_TTL_RECENT_SECONDS="60") as live,
        httpx.Client(cookies=cookies_of("operator"), verify=False) as session,
    ):
        act(live, session, REMOVE, kind="pattern", value="*")
        assert "Celery has not taken it up yet" in act(live, session, WARM)
        with celery_worker(live):
            wait_until(lambda: Job.objects.get().state == Job.State.DONE, 60, "the worker has done the job")
        assert live.get("/api/liquidation-orders", symbol="BTCUSDT", limit=50).headers["X-Cache"] == "hit"


@server_only("a private Redis is used: once, in the run on a server")
@pytest.mark.slow
def test_a_redis_that_is_killed_is_said_on_the_page_and_can_be_tried_again(
    private_redis: PrivateRedis, tmp_path: Path
) -> None:
    options = {"REDIS_URL": private_redis.url(), "SECRET_KEY": configured.SECRET_KEY}
    with (
        serving("asgi", tmp_path, CELERY_BROKER_URL=private_redis.url(1), **options) as live,
        httpx.Client(cookies=cookies_of("operator"), verify=False, timeout=30) as session,
    ):

        def shown(path: str = CACHE) -> str:
            return words(session.get(f"{live.root}{path}").text)

        live.get("/api/symbols")
        assert "Breaker closed" in shown()
        with killed(private_redis):
            assert "Clients are answered from the memory of each process" in shown()
            assert "Breaker open 1 process does without Redis now" in shown()
            live.get("/api/symbols")
            assert "symbols:all" in shown(KEYS)
            assert "symbols" in shown(f"{KEY}?key=symbols:all")
            assert "Still in trouble" in act(live, session, RETRY)
            assert "It is told to remove the answers about BTCUSDT when it is back" in act(
                live, session, REMOVE, kind="symbol", value="BTCUSDT"
            )
            assert "Not warmed: Redis" in act(live, session, WARM)
        assert "is used again by this process" in act(live, session, RETRY)
        assert "Breaker closed" in shown()
    assert [entry[1:3] for entry in audited() if entry[1] == "cache.retry"]
