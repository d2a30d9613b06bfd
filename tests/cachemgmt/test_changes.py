"""Without Redis, processes hear of each other's changes through a small table."""

import time
from collections.abc import Callable

import pytest
from django.db import connection, transaction

from cachemgmt.models import CacheChange
from cachemgmt.stores import changes
from cachemgmt.stores.changes import DatabaseChanges
from cachemgmt.stores.memory import MemoryStore
from tests.cachemgmt.kept import MINUTE, is_valid, keep, key
from tests.live import wait_until

pytestmark = pytest.mark.django_db(transaction=True)

SEEN_WITHIN_S = 1.0


@pytest.fixture
def here() -> MemoryStore:
    return MemoryStore(1 << 20, DatabaseChanges())


@pytest.fixture
def there() -> MemoryStore:
    """The store of another process."""
    store = MemoryStore(1 << 20, DatabaseChanges())
    keep(store, key())
    keep(store, key("2", "symbol:ETHUSDT"))
    return store


def heard(store: MemoryStore) -> None:
    """Look at the table however short ago the last look was."""
    assert isinstance(store.log, DatabaseChanges)
    store.log.next_look = 0.0
    store.hear()


@pytest.mark.parametrize(
    "change",
    [
        lambda store: store.touch({key().scope: {MINUTE}}),
        lambda store: store.touch({key().scope: None}),
        lambda store: store.renew(),
        lambda store: store.clear("test:1"),
    ],
    ids=["touch", "touch of all times", "renew", "clear"],
)
def test_a_change_in_one_process_reaches_the_others(
    here: MemoryStore, there: MemoryStore, change: Callable[[MemoryStore], object]
) -> None:
    assert is_valid(there, key())
    change(here)
    seconds = wait_until(lambda: not is_valid(there, key()), SEEN_WITHIN_S, "the other process has heard of it")
    print(f"heard after {seconds * 1000:.0f} ms")


def test_a_change_elsewhere_is_heard_and_outdates_nothing_else(here: MemoryStore, there: MemoryStore) -> None:
    here.touch({key().scope: {MINUTE - 1}, "symbol:ETHUSDT": None})
    heard(there)
    assert is_valid(there, key())
    assert not is_valid(there, key("2", "symbol:ETHUSDT"))


def test_ones_own_changes_are_not_applied_twice(here: MemoryStore) -> None:
    heard(here)
    here.touch({key().scope: {MINUTE}})
    keep(here, key())
    heard(here)
    assert is_valid(here, key())


def test_what_was_changed_before_a_process_began_is_not_its_business(here: MemoryStore) -> None:
    here.touch({key().scope: None})
    young = MemoryStore(1 << 20, DatabaseChanges())
    keep(young, key())
    heard(young)
    assert is_valid(young, key())


def test_a_row_that_becomes_visible_late_is_not_missed(here: MemoryStore, there: MemoryStore) -> None:
    here.touch({"symbol:XRPUSDT": None})
    newest = CacheChange.objects.latest("pk").pk
    CacheChange.objects.filter(pk=newest).update(id=newest + 5)
    heard(there)
    CacheChange.objects.create(pk=newest + 2, changes={key().scope: None})
    heard(there)
    assert not is_valid(there, key())
    keep(there, key())
    heard(there)
    assert is_valid(there, key())


def test_after_too_many_changes_everything_is_outdated(
    here: MemoryStore, there: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(changes, "MOST_AT_ONCE", 3)
    for number in range(5):
        here.touch({f"symbol:{number}": None})
    heard(there)
    assert not is_valid(there, key())
    keep(there, key())
    heard(there)
    assert is_valid(there, key())


def test_a_table_that_has_been_emptied_outdates_everything_and_goes_on(here: MemoryStore, there: MemoryStore) -> None:
    here.touch({"symbol:XRPUSDT": None})
    heard(there)
    CacheChange.objects.all().delete()
    heard(there)
    assert not is_valid(there, key())
    keep(there, key())
    here.touch({key().scope: None})
    heard(there)
    assert not is_valid(there, key())


def test_the_table_stays_small(here: MemoryStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(changes, "PRUNE_EVERY", 10)
    monkeypatch.setattr(changes, "KEPT", 20)
    for _ in range(100):
        here.touch({key().scope: {MINUTE}})
    assert 20 <= CacheChange.objects.count() <= 30


def test_without_the_table_a_process_goes_on_with_what_it_knows(here: MemoryStore) -> None:
    keep(here, key())
    with connection.schema_editor() as editor:
        editor.delete_model(CacheChange)
    try:
        heard(here)
        assert is_valid(here, key())
        here.touch({key().scope: {MINUTE}})
        assert not is_valid(here, key())
    finally:
        with connection.schema_editor() as editor:
            editor.create_model(CacheChange)


def test_looking_is_rare_however_many_hits_there_are(here: MemoryStore) -> None:
    keep(here, key())
    looks = 0

    def count(execute: Callable[..., object], *query: object) -> object:
        nonlocal looks
        looks += 1
        return execute(*query)

    began = time.monotonic()
    with connection.execute_wrapper(count):
        for _ in range(3000):
            here.read(key())
    assert looks <= (time.monotonic() - began) / changes.INTERVAL_S + 1


def test_in_a_transaction_nothing_breaks(here: MemoryStore, there: MemoryStore) -> None:
    here.touch({key().scope: None})
    with transaction.atomic():
        heard(there)
    heard(there)
    assert not is_valid(there, key())
