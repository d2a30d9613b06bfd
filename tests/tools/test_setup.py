"""What setting up says to a user whose machine lacks something."""

import subprocess
import sys
from pathlib import Path

import pytest

from tools import setup

ROOT = Path(setup.__file__).parents[1]


def set_up(python: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["sh", "tools/setup.sh", "base"],
        cwd=ROOT,
        env={"PATH": "/usr/bin:/bin", "PYTHON": python},
        capture_output=True,
        text=True,
    )


def test_an_interpreter_that_is_not_there_is_named() -> None:
    done = set_up("python3.99")
    assert (done.returncode, done.stderr) == (1, "liqui: PYTHON=python3.99 is not a program on this machine.\n")


def test_an_unsupported_python_is_named_with_its_version(tmp_path: Path) -> None:
    python = tmp_path / "python"
    python.write_text('#!/bin/sh\ncase "$2" in *exit*) exit 1;; *) echo 3.10.13;; esac\n')
    python.chmod(0o755)
    done = set_up(str(python))
    assert done.returncode == 1
    assert done.stderr == f"liqui: PYTHON={python} is version 3.10.13; Python 3.11, 3.12 or 3.13 is needed.\n"


def test_a_python_that_cannot_make_venvs_leads_to_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(setup, "VENV", tmp_path / ".venv")
    monkeypatch.setitem(sys.modules, "ensurepip", None)
    with pytest.raises(setup.SetupFailed, match=r"apt-get install python3(\.\d+)?-venv$"):
        setup.make_venv()


@pytest.mark.parametrize(
    ("variables", "wanted"),
    [
        ({}, False),
        ({"DATABASE_URL": "sqlite:///x"}, False),
        ({"DATABASE_URL": "mysql://root@db/liqui"}, True),
        ({"DB_HOST": "db"}, True),
        ({"DB_HOST": ""}, False),
    ],
)
def test_mysqlclient_is_wanted_when_a_database_server_is_named(variables: dict[str, str], wanted: bool) -> None:
    assert setup.wants_mysql(variables | {"LIQUI_ENV_FILE": ""}) is wanted


def test_mysqlclient_is_wanted_when_the_env_file_names_a_database_server(tmp_path: Path) -> None:
    file = tmp_path / "env"
    file.write_text("# mine\nexport DATABASE_URL='mysql://root@db/liqui'\n")
    assert setup.wants_mysql({"LIQUI_ENV_FILE": str(file)})


def test_a_changed_requirement_changes_the_fingerprint(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(setup, "REQUIREMENTS", tmp_path)
    (tmp_path / "base.txt").write_text("a==1\n")
    before = setup.fingerprint()
    assert setup.fingerprint() == before
    (tmp_path / "base.txt").write_text("a==2\n")
    assert setup.fingerprint() != before
