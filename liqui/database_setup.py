"""Makes the database ready at start: the database of what is made up, our tables, the outside table, sample rows."""

import threading
import time
from contextlib import closing
from io import StringIO

import structlog
from django.conf import settings
from django.core.management import call_command
from django.db import Error as DatabaseError
from django.db import close_old_connections, connection
from django.db.migrations.executor import MigrationExecutor

from liquidations.table import table_problem
from marketdata.venue import REAL_FEEDS

logger = structlog.get_logger(__name__)

RETRY_S = 5
UNKNOWN_DATABASE, ACCESS_DENIED = 1049, 1044


class DatabaseSetup:
    """Tries once in the foreground and, if the database is away, again in the background until it has worked."""

    def __init__(self) -> None:
        self.stopping = threading.Event()
        self.last_failure = ""

    def run(self) -> None:
        if not self.attempt():
            threading.Thread(target=self.repeat, daemon=True).start()

    def repeat(self) -> None:
        while not self.stopping.wait(RETRY_S):
            close_old_connections()
            if self.attempt():
                break
        connection.close()

    def attempt(self) -> bool:
        """Whether the database is ready. Says why not, but the same reason once only."""
        try:
            database_prepare()
        except Exception as error:
            failure = f"{settings.ENVIRONMENT.database_place}: {error}"
            if failure != self.last_failure:
                # A driver's message says all there is to say about a server that is away.
                expected = isinstance(error, DatabaseError)
                logger.error(f"database not ready, trying again every {RETRY_S} s: {failure}", exc_info=not expected)
            self.last_failure = failure
            connection.close()
            return False
        if self.last_failure:
            logger.info("database ready")
        return True


def database_prepare() -> None:
    """Every step is harmless when it has been done before."""
    create_own_database()
    migrate()
    prepare_table()
    if settings.LIQUI_FEED == "sample":
        fill_sample()


def create_own_database() -> None:
    """On a server: sample and simulated rows never share a database with the user's own."""
    if connection.vendor != "mysql" or settings.LIQUI_FEED in REAL_FEEDS:
        return
    try:
        connection.ensure_connection()
    except DatabaseError as error:
        # A user without rights on a database is told 1044, whether it exists or not.
        if error.args[0] not in (UNKNOWN_DATABASE, ACCESS_DENIED):
            raise
        create_database(settings.DATABASES["default"]["NAME"])


def create_database(name: str) -> None:
    params = connection.get_connection_params()
    del params["database"]
    try:
        with connection.wrap_database_errors, closing(connection.get_new_connection(params)) as server:
            server.cursor().execute(f"CREATE DATABASE {connection.ops.quote_name(name)} CHARACTER SET utf8mb4")
    except DatabaseError as error:
        raise DatabaseError(
            f"{settings.LIQUI_FEED} data needs a database {name}, which this user may not create ({error.args[-1]}). "
            f"Create it and grant {params['user']} all privileges on it, or serve your own data: make run FEED=live"
        ) from error
    logger.info(f"database {name} created")


def migrate() -> None:
    """Creates and alters our own tables."""
    executor = MigrationExecutor(connection)
    plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
    if not plan:
        return
    call_command("migrate", interactive=False, verbosity=0)
    logger.info(f"{len(plan)} migrations applied", apps=sorted({migration.app_label for migration, _ in plan}))


def prepare_table() -> None:
    """Makes the outside table where it is ours to make; on the user's own server it is only looked at."""
    is_ours = connection.vendor == "sqlite" or settings.LIQUI_FEED not in REAL_FEEDS
    if is_ours and settings.DB_LIQ_TABLENAME not in connection.introspection.table_names():
        call_command("liquidations_table", "--create", stdout=StringIO())
        logger.info(f"table {settings.DB_LIQ_TABLENAME} created")
    elif problem := table_problem():
        logger.error(problem)


def fill_sample() -> None:
    from liquidations.sample_fill import sample_fill

    logger.info("sample data: filling up to now")
    sample_fill(int(time.time() * 1000))
