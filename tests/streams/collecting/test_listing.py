"""Which symbols may be collected, and how a change of that is told."""

import pytest

from marketdata.models import InstrumentRow
from streams.collecting.listing import Listing, listing_read


@pytest.mark.parametrize("is_whole", [True, False])
def test_what_is_off_is_refused_and_what_the_venue_does_not_list_once_that_is_known(is_whole: bool) -> None:
    assert Listing().refusal("BTCUSDT") is None
    listing = Listing(frozenset({"BTCUSDT"}), frozenset({"OLDUSDT"}), is_whole)
    assert listing.refusal("BTCUSDT") is None
    assert listing.refusal("OLDUSDT") == "OLDUSDT is disabled"
    assert listing.refusal("XUSDT") == ("XUSDT is not known" if is_whole else None)


@pytest.mark.django_db
def test_rows_of_the_users_own_are_not_the_venues_list() -> None:
    InstrumentRow.objects.create(symbol="OWNUSDT")
    assert not listing_read().is_whole
    InstrumentRow.objects.create(symbol="BTCUSDT", last_seen_ms=1)
    assert listing_read() == Listing(frozenset({"OWNUSDT", "BTCUSDT"}), frozenset(), is_whole=True)


def test_changes_name_a_few_symbols() -> None:
    before, after = Listing(frozenset({"A", "B"})), Listing(frozenset({"B", *(f"N{n:02}" for n in range(12))}))
    assert after.changes_since(before) == {
        "enabled": "N00, N01, N02, N03, N04, N05, N06, N07, N08, N09 and 2 more",
        "disabled": "A",
    }
    assert not after.changes_since(after)
    assert not before.changes_since(Listing())
