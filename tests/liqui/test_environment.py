"""Whatever stands in the environment, reading it ends in settings and a list of named faults, never in a traceback."""

import re
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from liqui.settings.databases import DATABASE_NAMES
from liqui.settings.environment import REDIS_NAMES, Environment, environment_read
from tools.environment import NAMES

ROOT = Path(__file__).resolve().parents[2]
SECRETS = {"SECRET_KEY": "k", "JWT_SECRET": "j" * 32}
SERVER = {"DB_HOST": "db", "DB_USER": "u", "DB_PASSWORD": "p", "DB_DATABASE": "liq"} | SECRETS
VARIABLES = [
    *sorted(NAMES - {"LIQUI_HOME", "PROMETHEUS_MULTIPROC_DIR"}),
    "DB_HOST",
    "DB_PORT",
    "DB_USER",
    "DB_PASSWORD",
    "DB_DATABASE",
    "DB_NAME",
    "DB_LIQ_TABLENAME",
    "REDIS_URL",
    "REDIS_HOST",
    "REDIS_PORT",
    "REDIS_PASSWORD",
    "REDIS_DB",
    "CELERY_BROKER_URL",
    "RATE_LIMIT_PER_MINUTE",
    "RATE_LIMIT_BURST",
    "CACHE_TTL_SECONDS",
    "CACHE_TTL_SYMBOLS",
    "BINANCE_WS_BASE_URL",
    "BINANCE_API_BASE_URL",
]


def read(home: Path, **variables: str) -> Environment:
    return environment_read({"LIQUI_HOME": str(home), **variables}, home)


def ids(environment: Environment) -> list[str]:
    return [problem.id for problem in environment.problems]


def test_nothing_set_means_sqlite_and_local_memory(tmp_path: Path) -> None:
    environment = read(tmp_path)
    assert not environment.problems
    assert environment.describe() == f"embedded · SQLite {tmp_path}/liqui.sqlite3 · cache: local memory · feed none"


@pytest.mark.parametrize(
    ("variables", "id", "words"),
    [
        ({"PORT": "http"}, "liqui.E001", "PORT='http'"),
        ({"PORT": "0"}, "liqui.E001", "from 1 to 65535"),
        ({"FEED": "dead"}, "liqui.E001", "none, sample, live, simulated, replay:FILE"),
        ({"FEED": "replay"}, "liqui.E001", "replay:FILE"),
        ({"FEED": "live:x"}, "liqui.E001", "FEED='live:x'"),
        ({"FEED": "auto"}, "liqui.E008", "for `make run` alone"),
        ({"DEBUG": "maybe"}, "liqui.E001", "neither true nor false"),
        ({"LOG_LEVEL": "LOUD"}, "liqui.E001", "LOG_LEVEL"),
        ({"RATE_LIMIT_PER_MINUTE": "many"}, "liqui.E001", "RATE_LIMIT_PER_MINUTE='many'"),
        ({"RATE_LIMIT_PER_MINUTE": "-1"}, "liqui.E001", "from 0 to 1000000"),
        ({"RATE_LIMIT_BURST": "0"}, "liqui.E001", "from 1 to 1000000"),
        ({"TRUSTED_PROXIES": "127.0.0.1,balancer"}, "liqui.E001", "'balancer' is neither an address"),
        ({"TRUSTED_PROXIES": "10.0.0.0/33"}, "liqui.E001", "'10.0.0.0/33'"),
        ({"DB_LIQ_TABLENAME": "liqs; DROP TABLE x"}, "liqui.E001", "not a table name"),
        ({"REDIS_URL": "http://x"}, "liqui.E001", "REDIS_URL"),
        ({"REDIS_URL": "redis://[::1"}, "liqui.E001", "REDIS_URL"),
        ({"DATABASE_URL": "postgres://u:secret@h/d"}, "liqui.E001", "mysql://"),
        ({"DATABASE_URL": "mysql://u:p@h:port/d"}, "liqui.E001", "mysql://"),
        ({"DATABASE_URL": "sqlite://liqui.sqlite3"}, "liqui.E001", "sqlite:///path"),
        ({"DATABASE_URL": "sqlite://"}, "liqui.E001", "sqlite:///path"),
        ({"BINANCE_WS_BASE_URL": "https://fstream.binance.com"}, "liqui.E001", "is not wss or ws://host[:port]"),
        ({"BINANCE_WS_BASE_URL": "wss://"}, "liqui.E001", "BINANCE_WS_BASE_URL='wss://'"),
        ({"BINANCE_API_BASE_URL": "http://u:secret@h:port"}, "liqui.E001", "BINANCE_API_BASE_URL"),
        ({"BINANCE_API_BASE_URL": "http://u:secret@h"}, "liqui.E001", "BINANCE_API_BASE_URL='http://u:***@h'"),
        ({"BINANCE_API_BASE_URL": "http://h/fapi?x=1"}, "liqui.E001", "BINANCE_API_BASE_URL"),
        ({"DB_HOST": "db"}, "liqui.E002", "DB_USER, DB_PASSWORD, DB_DATABASE missing"),
        ({"DB_PORT": "3307"}, "liqui.E002", "DB_HOST"),
        (SERVER | {"DB_NAME": "other"}, "liqui.E003", "liq and other"),
        (SERVER | {"DATABASE_URL": "mysql://u:p@h/d"}, "liqui.E004", "both set"),
        ({"DATABASE_URL": "mysql://u:p@h/d", "JWT_SECRET": "j" * 32}, "liqui.E005", "SECRET_KEY is not set"),
        ({"DATABASE_URL": "mysql://u:p@h/d", "SECRET_KEY": "k"}, "liqui.E009", "JWT_SECRET is not set"),
        ({"JWT_SECRET": "j" * 31}, "liqui.E009", "has 31 characters; 32 characters are needed"),
        ({"JWT_SECRET": "j" * 63, "JWT_ALGORITHM": "HS512"}, "liqui.E009", "64 characters"),
        ({"JWT_ALGORITHM": "none"}, "liqui.E001", "HS256, HS384, HS512"),
        ({"READ_ACCESS": "ajar"}, "liqui.E001", "open, closed"),
        ({"JWT_EXPIRATION_MINUTES": "0"}, "liqui.E001", "from 1 to 10080"),
    ],
)
def test_each_fault_has_its_id_and_says_what_is_wrong(
    tmp_path: Path, variables: dict[str, str], id: str, words: str
) -> None:
    environment = read(tmp_path, **variables)
    assert id in ids(environment)
    text = " ".join(problem.message for problem in environment.problems)
    assert words in text
    assert "secret" not in text


def test_an_alias_that_agrees_is_no_fault(tmp_path: Path) -> None:
    environment = read(tmp_path, **SERVER, DB_NAME="liq")
    assert not environment.problems
    assert environment.database["NAME"] == "liq"


def test_requests_are_limited_on_a_server_and_embedded_when_asked_for(tmp_path: Path) -> None:
    limits = [
        (environment.rate_limit_per_minute, environment.rate_limit_burst)
        for environment in (
            read(tmp_path, **SERVER),
            read(tmp_path, **SERVER, RATE_LIMIT_PER_MINUTE="600"),
            read(tmp_path, **SERVER, RATE_LIMIT_PER_MINUTE="600", RATE_LIMIT_BURST="20"),
            read(tmp_path, RATE_LIMIT_PER_MINUTE="60"),
        )
    ]
    assert limits == [(100, 100), (600, 600), (600, 20), (60, 60)]
    assert read(tmp_path).rate_limit_per_minute == 0
    assert read(tmp_path, **SERVER, RATE_LIMIT_PER_MINUTE="0").rate_limit_per_minute == 0


def test_proxies_on_this_machine_are_trusted_until_others_are_named_or_none(tmp_path: Path) -> None:
    def networks(**variables: str) -> list[str]:
        environment = read(tmp_path, **variables)
        assert not environment.problems
        return [str(network) for network in environment.trusted_proxies]

    assert networks() == ["127.0.0.0/8", "::1/128"]
    assert networks(TRUSTED_PROXIES=" 10.1.2.3/8, 2001:db8::1 ") == ["10.0.0.0/8", "2001:db8::1/128"]
    assert networks(TRUSTED_PROXIES="none") == []


def test_redis_url_wins_over_its_parts(tmp_path: Path) -> None:
    environment = read(tmp_path, REDIS_URL="redis://cache:1/2", REDIS_HOST="other")
    assert environment.redis_url == "redis://cache:1/2"


def test_the_exchange_is_binance_unless_another_address_is_given(tmp_path: Path) -> None:
    environment = read(tmp_path)
    assert environment.binance_ws_base_url == "wss://fstream.binance.com"
    assert environment.binance_api_base_url == "https://fapi.binance.com"
    simulated = read(tmp_path, BINANCE_WS_BASE_URL="ws://127.0.0.1:9000/", BINANCE_API_BASE_URL="http://[::1]:9000")
    assert not simulated.problems
    assert simulated.binance_ws_base_url == "ws://127.0.0.1:9000"
    assert simulated.binance_api_base_url == "http://[::1]:9000"


def test_a_redis_password_may_hold_any_character(tmp_path: Path) -> None:
    environment = read(tmp_path, REDIS_HOST="r", REDIS_PASSWORD="a/b@c")
    assert environment.redis_url == "redis://:a%2Fb%40c@r:6379/0"
    assert "a%2Fb" not in environment.describe()


def test_other_feeds_never_share_a_database_with_the_users_rows(tmp_path: Path) -> None:
    assert read(tmp_path, FEED="sample").database["NAME"] == str(tmp_path / "sample.sqlite3")
    assert read(tmp_path, FEED="sample", **SERVER).database["NAME"] == "liq_sample"
    for feed in ("simulated", "replay:orders.csv"):
        assert read(tmp_path, FEED=feed).database["NAME"] == str(tmp_path / "simulated.sqlite3")
        assert read(tmp_path, FEED=feed, **SERVER).database["NAME"] == "liq_simulated"
    for feed in ("live", "none"):
        assert read(tmp_path, FEED=feed).database["NAME"] == str(tmp_path / "liqui.sqlite3")
        assert read(tmp_path, FEED=feed, **SERVER).database["NAME"] == "liq"


def test_the_file_of_a_replay_may_have_any_name(tmp_path: Path) -> None:
    environment = read(tmp_path, FEED="replay:/data/a:b c.csv")
    assert (environment.feed, environment.replay_path) == ("replay", "/data/a:b c.csv")


def test_the_secret_key_is_made_once_and_readable_by_its_owner_only(tmp_path: Path) -> None:
    assert read(tmp_path).secret_key == read(tmp_path).secret_key
    assert (tmp_path / "secret_key").stat().st_mode & 0o777 == 0o600


def test_a_folder_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    environment = environment_read({"LIQUI_HOME": str(tmp_path / "file")}, tmp_path)
    assert ids(environment) == ["liqui.E006"]
    assert str(tmp_path / "file") in environment.problems[0].message


def test_a_server_without_its_driver_is_a_fault_that_says_how_to_install_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "MySQLdb", None)
    environment = read(tmp_path, **SERVER)
    assert ids(environment) == ["liqui.E007"]
    assert "pip install -r requirements/mysql.txt" in environment.problems[0].hint


@given(
    variables=st.dictionaries(
        st.sampled_from(VARIABLES),
        st.one_of(
            st.text(max_size=30),
            st.sampled_from(
                ["mysql://", "mysql://u:p@h/d", "sqlite:///", "sqlite://:memory:", "redis://h:x", "//[", "1"]
            ),
            st.from_regex(r"\A(mysql|sqlite|redis|postgres|unix)://[\w:@/\[\]%.]{0,20}\Z"),
        ),
        max_size=8,
    )
)
def test_no_value_of_any_variable_raises(variables: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> None:
    environment = read(tmp_path_factory.getbasetemp() / "any", **variables)
    assert environment.describe()
    assert environment.database["ENGINE"]


@given(name=st.text(max_size=20))
def test_no_name_of_the_folder_raises(name: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    inside = name.replace("/", "").replace("..", "")
    environment_read({"LIQUI_HOME": f"{tmp_path_factory.getbasetemp()}/any/{inside}"}, Path("/nonexistent"))


def test_the_example_file_names_every_setting_and_its_default(tmp_path: Path) -> None:
    source = (ROOT / "liqui/settings/environment.py").read_text()
    read = set(re.findall(r'reader\.\w+\(\s*"([A-Z_]+)"', source)) | {*DATABASE_NAMES, *REDIS_NAMES}
    example = (ROOT / ".env.example").read_text()
    lines = dict(re.findall(r"^#([A-Z_]+)=(\S*)", example, re.MULTILINE))
    assert read <= lines.keys()
    defaults = {name: value for name, value in lines.items() if not name.startswith(("DB_", "DATABASE_", "REDIS_"))}
    without = environment_read({"LIQUI_HOME": str(tmp_path)}, tmp_path)
    assert environment_read(defaults | {"LIQUI_HOME": str(tmp_path)}, tmp_path) == without
