"""The system's Chromium, for tests in a browser: Playwright's own downloads do not work everywhere."""

from tools import packages
from tools.servers import find_program

PROGRAMS = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")
PACKAGES = ("chromium",)


def chromium() -> str:
    """The path of its program, installed first if it is missing. Raises `PackagesMissing`."""
    if not find_program(*PROGRAMS):
        packages.install(PACKAGES, f"{' or '.join(PROGRAMS)} is not installed")
    if path := find_program(*PROGRAMS):
        return path
    raise packages.PackagesMissing(f"{' '.join(PACKAGES)} is installed, and none of {', '.join(PROGRAMS)} is found")
