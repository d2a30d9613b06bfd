"""The console in a real browser. A package, so that one server and one Chromium serve all of its modules."""
