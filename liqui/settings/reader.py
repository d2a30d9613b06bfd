"""Typed access to the environment: what cannot be read becomes a `Problem`, and nothing is raised."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit, urlunsplit

import environ


@dataclass(frozen=True, slots=True)
class Problem:
    """One fault of the configuration: a system check id, what is wrong, and what to do."""

    id: str
    message: str
    hint: str = ""


@dataclass
class Reader:
    """Typed access to an environment; collects `Problem`s and goes on with the default."""

    environ: Mapping[str, str]
    problems: list[Problem] = field(default_factory=list)

    def has(self, *names: str) -> list[str]:
        return [name for name in names if self.environ.get(name, "") != ""]

    def text(self, name: str, default: str = "") -> str:
        return self.environ.get(name, "") or default

    def integer(self, name: str, default: int, low: int, high: int) -> int:
        raw = self.text(name)
        try:
            value = int(raw) if raw else default
        except ValueError:
            value = None
        if value is None or not low <= value <= high:
            self.report("liqui.E001", f"{name}={raw!r} is not a whole number from {low} to {high}.")
            return default
        return value

    def boolean(self, name: str, default: bool) -> bool:
        raw = self.text(name).lower()
        if raw in environ.Env.BOOLEAN_TRUE_STRINGS:
            return True
        if raw in ("false", "off", "n", "no", "0"):
            return False
        if raw:
            self.report("liqui.E001", f"{name}={raw!r} is neither true nor false.")
        return default

    def choice(self, name: str, default: str, choices: Sequence[str]) -> str:
        value = self.text(name, default)
        if value not in choices:
            self.report("liqui.E001", f"{name}={value!r} is not one of: {', '.join(choices)}.")
            return default
        return value

    def base_url(self, name: str, default: str, schemes: Sequence[str]) -> str:
        """scheme://host[:port][/path] without a login; given without the slash at its end."""
        raw = self.text(name, default)
        url = raw.rstrip("/")
        if not is_base_url(url, schemes):
            self.report("liqui.E001", f"{name}={without_password(raw)!r} is not {' or '.join(schemes)}://host[:port].")
            return default
        return url

    def report(self, id: str, message: str, hint: str = "") -> None:
        self.problems.append(Problem(id, message, hint))


def is_base_url(url: str, schemes: Sequence[str]) -> bool:
    try:
        parts = urlsplit(url)
        has_port = parts.port is None or parts.port > 0
    except ValueError:
        return False
    is_plain = url.isascii() and url.isprintable() and not any(mark in url for mark in " @?#")
    return parts.scheme in schemes and bool(parts.hostname) and has_port and is_plain


def without_password(url: str) -> str:
    """The URL with its password replaced, fit for a log."""
    try:
        parts = urlsplit(url)
        secret = parts.password
    except ValueError:
        return "(unreadable)"
    if secret is None:
        return url
    return urlunsplit(parts._replace(netloc=parts.netloc.replace(f":{secret}@", ":***@")))
