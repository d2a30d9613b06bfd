"""Which feeds there are, and which one the environment names."""

from liqui.settings.reader import Reader

FEEDS = ("none", "sample", "live", "simulated", "replay:FILE", "auto")
# Data that a simulator plays: they never share a database with what is real.
SIMULATED_FEEDS = ("simulated", "replay")
COLLECTED_FEEDS = ("live", *SIMULATED_FEEDS)


def read_feed(reader: Reader) -> tuple[str, str]:
    """``FEED``, and the file that it plays: auto, live, simulated, replay:FILE, sample or none."""
    feed, _, path = reader.text("FEED", "none").partition(":")
    # The file's name may hold any character, and only a replay has one.
    if (feed == "replay") != bool(path) or feed not in [each.partition(":")[0] for each in FEEDS]:
        reader.report("liqui.E001", f"FEED={reader.text('FEED')!r} is not one of: {', '.join(FEEDS)}.")
        return "none", ""
    if feed == "auto":
        # `manage.py serve` decides it before anything else, and starts itself again with what it has found.
        reader.report("liqui.E008", "FEED=auto is for `make run` alone.", "Set FEED=live, or none to collect nothing.")
    return feed, path
