"""What the outside table of forced orders is like here: its columns, indexes, spellings; and making one of our own."""

import time
from dataclasses import dataclass, field
from typing import Any

from django.conf import settings
from django.db import DatabaseError, connection, transaction

from database.reading import Reader, reading
from liquidations import schema
from liquidations.domain import canonical_symbol
from liquidations.models import BAR_SCALE, LiquidationBar
from liquidations.schema import COLUMNS, Dialect

PROFILE_SECONDS = 60  # so that an index that an operator adds is found without a restart
INTROSPECTION_SECONDS = 10


class TableUnusable(DatabaseError):
    """The table of forced orders is missing, or lacks a column; the message says which."""


@dataclass(frozen=True, slots=True)
class Column:
    """Bounds of one column: characters for text; digits in all and after the point for decimals."""

    name: str
    length: int | None = None
    precision: int | None = None
    scale: int | None = None
    charset: str = "utf8mb4"
    collation: str = ""

    @property
    def sql_type(self) -> str:
        return f"DECIMAL({self.precision},{self.scale})"


@dataclass(frozen=True)
class TableProfile:
    """The table as it was found; valid for `PROFILE_SECONDS`."""

    name: str
    dialect: Dialect
    columns: dict[str, Column]
    indexes: dict[str, tuple[str, ...]]
    has_bars: bool
    taken_at: float = field(default_factory=time.monotonic)

    @property
    def bounds(self) -> tuple[Column, ...]:
        """The columns of an order, in its order."""
        return tuple(self.columns[name] for name in COLUMNS)

    @property
    def quoted(self) -> str:
        return schema.quote(self.name, self.dialect)

    @property
    def has_identity(self) -> bool:
        return schema.index_name(schema.IDENTITY_NAME, self.name, self.dialect) in self.indexes

    @property
    def ignores_case(self) -> bool:
        """Whether `symbol = 'BTCUSDT'` also finds "btcusdt"."""
        return self.columns["symbol"].collation.endswith("_ci")

    @property
    def fits_bars(self) -> bool:
        """Whether a bar holds every decimal place of price × quantity."""
        places = (self.columns[name].scale or 0 for name in ("average_price", "order_filled_accumulated_quantity"))
        return sum(places) <= BAR_SCALE

    def index_on(self, *leading: str, covering: tuple[str, ...] = ()) -> str | None:
        """The narrowest index that begins with these columns, one that holds all ``covering`` columns first."""
        fitting = {name: columns for name, columns in self.indexes.items() if columns[: len(leading)] == leading}
        return min(
            fitting, key=lambda name: (not set(covering) <= set(fitting[name]), len(fitting[name]), name), default=None
        )

    def source(self, *leading: str, covering: tuple[str, ...] = ()) -> str:
        """The table for a FROM clause, with the index named: over long ranges MariaDB chooses a bad one."""
        index = self.index_on(*leading, covering=covering)
        if index is None:
            return self.quoted
        if self.dialect == "sqlite":
            return f"{self.quoted} INDEXED BY {schema.quote(index, self.dialect)}"
        return f"{self.quoted} FORCE INDEX (`{index}`)"

    def lacks(self) -> list[schema.Lack]:
        types = {name: column.sql_type for name, column in self.columns.items() if column.precision}
        return schema.lacks(self.name, self.dialect, self.indexes, types)

    def warnings(self) -> list[str]:
        charset = self.columns["symbol"].charset
        if charset in ("utf8mb4", ""):
            return []
        return [
            f"Column symbol of {self.name} is {charset}: symbols that it cannot spell (币安人生USDT) cannot be stored. "
            f"ALTER TABLE {self.quoted} CONVERT TO CHARACTER SET utf8mb4;"
        ]


class ProfileCache:
    """The profile and the stored spellings of symbols, per process."""

    def __init__(self) -> None:
        self.profile: TableProfile | None = None
        self.spellings: dict[str, list[str]] = {}
        self.spellings_at = float("-inf")

    def reset(self) -> None:
        self.__init__()


cache = ProfileCache()


def table_profile() -> TableProfile:
    """The table's profile. Raises `TableUnusable`, and Django's database errors when the database is away."""
    profile = cache.profile
    if profile is None or time.monotonic() - profile.taken_at > PROFILE_SECONDS:
        cache.profile = profile = profile_read()
    return profile


def table_profile_reset() -> None:
    """Forget what is known of the table: after a change to it, or an error that hints at one."""
    cache.reset()


def table_problem() -> str | None:
    """Why the table cannot be served, in one line; None when it can. Raises when the database is away."""
    try:
        profile_read()
    except TableUnusable as error:
        return str(error)
    return None


def current_dialect() -> Dialect:
    if connection.vendor == "sqlite":
        return "sqlite"
    connection.ensure_connection()
    return "mariadb" if connection.mysql_is_mariadb else "mysql"  # type: ignore[attr-defined]


def profile_read() -> TableProfile:
    name, dialect = settings.DB_LIQ_TABLENAME, current_dialect()
    with reading(INTROSPECTION_SECONDS) as reader:
        columns, indexes = (sqlite_shape if dialect == "sqlite" else mysql_shape)(reader, name)
        has_bars = bool(table_exists(reader, LiquidationBar._meta.db_table))
    if not columns:
        raise TableUnusable(
            f"table {name} does not exist in database {connection.settings_dict['NAME']}; "
            "make it with: manage.py liquidations_table --create"
        )
    if missing := schema.missing_columns(columns):
        raise TableUnusable(f"table {name} lacks the column{'s' * (len(missing) > 1)} {', '.join(missing)}")
    return TableProfile(name, dialect, columns, indexes, has_bars)


def table_exists(reader: Reader, name: str) -> bool:
    if connection.vendor == "sqlite":
        return bool(reader.rows("SELECT 1 FROM sqlite_master WHERE type IN ('table', 'view') AND name = %s", [name]))
    return bool(
        reader.rows(
            "SELECT 1 FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name = %s", [name]
        )
    )


def mysql_shape(reader: Reader, name: str) -> tuple[dict[str, Column], dict[str, tuple[str, ...]]]:
    described = reader.rows(
        "SELECT column_name, character_maximum_length, numeric_precision, numeric_scale, character_set_name, "
        "collation_name FROM information_schema.columns WHERE table_schema = DATABASE() AND table_name = %s",
        [name],
    )
    columns = {
        # A floating column has a precision, but no scale: what it holds is not bounded in digits.
        name.lower(): Column(
            name.lower(), length, precision if scale is not None else None, scale, charset or "", collation or ""
        )
        for name, length, precision, scale, charset, collation in described
    }
    parts = reader.rows(
        "SELECT index_name, column_name FROM information_schema.statistics "
        "WHERE table_schema = DATABASE() AND table_name = %s ORDER BY index_name, seq_in_index",
        [name],
    )
    return columns, grouped(parts)


def sqlite_shape(reader: Reader, name: str) -> tuple[dict[str, Column], dict[str, tuple[str, ...]]]:
    # SQLite holds any text in any column: there are no lengths and scales to respect.
    described = reader.rows("SELECT name FROM pragma_table_xinfo(%s)", [name])
    parts = reader.rows(
        "SELECT list.name, info.name FROM pragma_index_list(%s) AS list, pragma_index_info(list.name) AS info "
        # A partial index lacks rows.
        "WHERE NOT list.partial ORDER BY list.name, info.seqno",
        [name],
    )
    return {row[0].lower(): Column(row[0].lower()) for row in described}, grouped(parts)


def grouped(parts: list[tuple[Any, ...]]) -> dict[str, tuple[str, ...]]:
    """Index name → its columns; "" where a part is an expression."""
    indexes: dict[str, tuple[str, ...]] = {}
    for index, column in parts:
        indexes[index] = (*indexes.get(index, ()), (column or "").lower())
    return indexes


def table_create() -> bool:
    """Make the table where there is none; False when it was there already, in whatever shape."""
    with reading(INTROSPECTION_SECONDS) as reader:
        if table_exists(reader, settings.DB_LIQ_TABLENAME):
            return False
    # Whole or not at all where the server can do that: SQLite.
    with transaction.atomic(), connection.cursor() as cursor:
        for statement in schema.create_statements(settings.DB_LIQ_TABLENAME, current_dialect()):
            cursor.execute(statement)
    table_profile_reset()
    return True


def stored_symbols(reader: Reader) -> list[str]:
    """Every spelling of a symbol in the table, sorted; by jumping through an index where there is one."""
    profile = table_profile()
    source = profile.source("symbol")
    if profile.dialect != "sqlite" or profile.index_on("symbol") is None:
        rows = reader.rows(f"SELECT DISTINCT symbol FROM {source} WHERE symbol IS NOT NULL")
    else:
        # SQLite's DISTINCT walks the whole index; this jumps from one symbol to the next.
        rows = reader.rows(
            f"SELECT symbol FROM (WITH RECURSIVE jump(symbol) AS (SELECT MIN(symbol) FROM {source} UNION ALL "
            f"SELECT (SELECT MIN(symbol) FROM {source} WHERE symbol > jump.symbol) FROM jump "
            "WHERE jump.symbol IS NOT NULL) SELECT symbol FROM jump) WHERE symbol IS NOT NULL"
        )
    return sorted(row[0] for row in rows)


def symbol_spellings(reader: Reader, symbol: str) -> list[str]:
    """How the rows of this symbol may spell it: one element where the server ignores case, as MySQL's default does."""
    wanted = canonical_symbol(symbol)
    profile = table_profile()
    if not storable(wanted, profile.columns["symbol"].charset):
        return []
    if profile.ignores_case:
        return [wanted]
    if time.monotonic() - cache.spellings_at > PROFILE_SECONDS:
        spellings: dict[str, list[str]] = {}
        for stored in stored_symbols(reader):
            spellings.setdefault(canonical_symbol(stored), []).append(stored)
        cache.spellings, cache.spellings_at = spellings, time.monotonic()
    return sorted({wanted, *cache.spellings.get(wanted, ())})


def spellings_forget() -> None:
    """Look the spellings up again: bars are made once, and must not miss one that another program has just added."""
    cache.spellings_at = float("-inf")


def storable(text: str, charset: str) -> bool:
    """Whether a column of this character set can hold the text at all; comparing another would be an error (1267)."""
    try:
        text.encode("latin-1" if charset == "latin1" else "ascii" if charset == "ascii" else "utf-8")
    except UnicodeEncodeError:
        return False
    return charset not in ("utf8", "utf8mb3") or all(ord(character) < 0x10000 for character in text)
