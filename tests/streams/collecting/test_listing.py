"""Which symbols may be collected, and how a change of that is told."""

from streams.collecting.listing import Listing


def test_of_an_empty_table_nothing_is_refused_and_of_another_what_it_lacks_or_disables() -> None:
    assert Listing().refusal("BTCUSDT") is None
    listing = Listing(frozenset({"BTCUSDT"}), frozenset({"OLDUSDT"}))
    assert listing.refusal("BTCUSDT") is None
    assert listing.refusal("OLDUSDT") == "OLDUSDT is disabled"
    assert listing.refusal("XUSDT") == "XUSDT is not known"


def test_changes_name_a_few_symbols() -> None:
    before, after = Listing(frozenset({"A", "B"})), Listing(frozenset({"B", *(f"N{n:02}" for n in range(12))}))
    assert after.changes_since(before) == {
        "enabled": "N00, N01, N02, N03, N04, N05, N06, N07, N08, N09 and 2 more",
        "disabled": "A",
    }
    assert not after.changes_since(after)
    assert not before.changes_since(Listing())
