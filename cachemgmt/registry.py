"""What apps have registered: namespaces of answers, and what to warm. Filled in `AppConfig.ready`."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from api.parameters import QueryParameters
from cachemgmt.types import Key

Asked = Mapping[str, Any]  # validated parameters


@dataclass(frozen=True)
class Namespace:
    """One kind of answer.

    ``parameters`` validates the query, ``key`` says where its answer is kept and what makes that outdated, ``ttl_s``
    how long it is fresh (0: it is not kept), and ``make`` makes the body, JSON in bytes. ``make`` may raise
    `NotFound`, which is kept for a moment as well, and database errors, which never are. ``pattern`` is a glob over
    the keys of all its answers.
    """

    name: str
    path: str
    parameters: type[QueryParameters]
    key: Callable[[Asked], Key]
    ttl_s: Callable[[Asked], float]
    make: Callable[[Asked], bytes]
    description: str

    @property
    def pattern(self) -> str:
        return f"{self.name}:*"


@dataclass(frozen=True)
class WarmRequest:
    """A request as a client would send it."""

    namespace: Namespace
    query: Mapping[str, str]


Warmer = Callable[[int], Iterable[WarmRequest]]  # from the present time in Unix ms

namespaces: dict[str, Namespace] = {}
warmers: list[Warmer] = []


def namespace_register(namespace: Namespace) -> None:
    namespaces[namespace.name] = namespace


def warmer_register(warmer: Warmer) -> None:
    if warmer not in warmers:
        warmers.append(warmer)


def namespace_at(path: str) -> Namespace | None:
    """The namespace whose answers are served at this path."""
    return next((namespace for namespace in namespaces.values() if namespace.path == path), None)
