"""The first start makes an administrator, shows the password once, and never again."""

import re
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command

from accounts.first import first_administrator
from accounts.roles import Role, role_of
from tests.accounts.people import user_make
from tests.liqui.serving import manage, serving

SHOWN = re.compile(r"name      admin\n    password  (\S+)")


def test_a_database_without_users_gets_an_administrator(db: None) -> None:
    password = first_administrator()
    user = User.objects.get()
    assert password
    assert user.check_password(password)
    assert (user.get_username(), role_of(user)) == ("admin", Role.ADMINISTRATOR)
    assert first_administrator() is None


def test_whoever_is_there_already_is_enough(db: None) -> None:
    user_make("ada")
    assert first_administrator() is None
    assert not User.objects.filter(is_superuser=True).exists()


def test_the_command_prints_name_and_password_once(db: None, capsys: pytest.CaptureFixture[str]) -> None:
    call_command("first_administrator")
    name, password = capsys.readouterr().out.split()
    assert User.objects.get(username=name).check_password(password)
    call_command("first_administrator")
    assert capsys.readouterr().out == ""


@pytest.mark.slow
def test_serve_shows_the_password_once_and_it_opens_the_console(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with serving(home, FEED="sample") as server:
        server.wait_for(r"password  \S+\n")
        found = SHOWN.search(server.text())
        assert found
        page = server.client.get("/admin/login/").text
        token = re.search(r'csrfmiddlewaretoken" value="(\w+)"', page)
        assert token
        form = {"username": "admin", "password": found[1], "csrfmiddlewaretoken": token[1], "next": "/admin/"}
        assert server.client.post("/admin/login/", data=form).headers["Location"] == "/admin/"
        assert server.client.get("/admin/").status_code == 200
    with serving(home, FEED="sample") as server:
        server.wait_for("console")
        assert len(SHOWN.findall(server.text())) == 1
    # As it is shown there: the sample data have a database of their own.
    assert "FEED=sample .venv/bin/python manage.py changepassword admin" in server.text()
    count = "from django.contrib.auth.models import User; print(User.objects.count())"
    assert manage("shell", "--no-imports", "-c", count, home=home, FEED="sample").stdout.strip() == "1"
