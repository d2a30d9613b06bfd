"""A task that finds no usable database says so in one line."""

import pytest
from django.db import DatabaseError, IntegrityError, OperationalError

from database.tasks import left_for_later


class Unusable(DatabaseError):
    pass


@left_for_later(Unusable)
def fails(error: Exception) -> None:
    raise error


@pytest.mark.parametrize(
    "error", [OperationalError(2006, "gone away"), OperationalError("database is locked"), Unusable("no column")]
)
def test_a_database_that_cannot_be_used_leaves_a_line(error: Exception, caplog: pytest.LogCaptureFixture) -> None:
    fails(error)
    assert "task left for later: the database cannot be used" in caplog.text


@pytest.mark.parametrize("error", [IntegrityError(1062, "duplicate"), DatabaseError("something else"), ValueError("x")])
def test_other_faults_are_not_hidden(error: Exception) -> None:
    with pytest.raises(type(error)):
        fails(error)
