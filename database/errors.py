"""Tells the failures of a database apart by what the caller should do about them."""

from typing import Literal

from django.db import Error

Kind = Literal["gone", "timeout", "schema", "busy", "other"]

# Error numbers of MySQL and MariaDB (client errors are 2xxx).
MYSQL_NUMBERS: dict[Kind, tuple[int, ...]] = {
    "gone": (2002, 2003, 2005, 2006, 2013, 2055, 1040, 1042, 1044, 1045, 1049, 1053, 1203, 1226, 4031),
    # MariaDB's max_statement_time, MySQL's MAX_EXECUTION_TIME, KILL QUERY.
    "timeout": (1969, 3024, 1317),
    # Missing table, missing column, an index that a hint names and that is no longer there, no privilege on the table.
    "schema": (1146, 1054, 1176, 1142, 1143),
    "busy": (1205, 1213),
}
MYSQL_KINDS: dict[int, Kind] = {number: kind for kind, numbers in MYSQL_NUMBERS.items() for number in numbers}
SQLITE_KINDS: tuple[tuple[str, Kind], ...] = (
    ("interrupted", "timeout"),
    ("no such", "schema"),
    ("database is locked", "busy"),
    ("unable to open", "gone"),
    ("not a database", "gone"),
    ("malformed", "gone"),
    ("disk i/o error", "gone"),
)


class QueryTimeout(Exception):
    """The server ended a query that ran longer than ``seconds``."""

    def __init__(self, seconds: int) -> None:
        super().__init__(f"Query timeout after {seconds} seconds")
        self.seconds = seconds


def classify(error: BaseException) -> Kind:
    """What kind of failure this database error is.

    "gone": there is no usable connection; "timeout": the server ended the statement; "schema": a table, column or
    index is missing; "busy": a lock was not had in time, the transaction may be tried again.
    """
    if error.args and isinstance(error.args[0], int):
        return MYSQL_KINDS.get(error.args[0], "other")
    text = str(error).lower()
    for words, kind in SQLITE_KINDS:
        if words in text:
            return kind
    return "other"


def is_busy(error: BaseException) -> bool:
    """Whether trying the whole transaction again may help."""
    return isinstance(error, Error) and classify(error) == "busy"
