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

    @property
    def pattern(self) -> str:
        return f"{self.name}:*"


@dataclass(frozen=True)
class WarmRequest:
    """A request as a client would send it."""

    namespace: Namespace
    query: Mapping[str, str]


@dataclass(frozen=True)
class Subject:
    """What some answers are about: globs over their keys, and the scopes whose change outdates them."""

    patterns: tuple[str, ...] = ()
    scopes: tuple[str, ...] = ()

    def __add__(self, other: "Subject") -> "Subject":
        return Subject(self.patterns + other.patterns, self.scopes + other.scopes)


Warmer = Callable[[int], Iterable[WarmRequest]]  # from the present time in Unix ms
SymbolSubject = Callable[[str], Subject]  # from a symbol in any spelling

namespaces: dict[str, Namespace] = {}
warmers: list[Warmer] = []
# What operators may invalidate by name: the answers about one symbol, and the lists of symbols.
symbol_subjects: list[SymbolSubject] = []
symbol_lists: list[Subject] = []


def namespace_register(namespace: Namespace) -> None:
    namespaces[namespace.name] = namespace


def warmer_register(warmer: Warmer) -> None:
    if warmer not in warmers:
        warmers.append(warmer)


def symbols_register(about_symbol: SymbolSubject, lists: Subject) -> None:
    """``about_symbol`` says which answers are about a symbol, ``lists`` which ones list the symbols."""
    if about_symbol not in symbol_subjects:
        symbol_subjects.append(about_symbol)
        symbol_lists.append(lists)


def about_symbol(symbol: str) -> Subject:
    """All apps' answers about this symbol."""
    return sum((subject(symbol) for subject in symbol_subjects), Subject())


def about_symbol_lists() -> Subject:
    return sum(symbol_lists, Subject())


def namespace_at(path: str) -> Namespace | None:
    """The namespace whose answers are served at this path."""
    return next((namespace for namespace in namespaces.values() if namespace.path == path), None)
