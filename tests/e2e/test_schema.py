"""The OpenAPI schema describes everything, its pages load nothing from elsewhere, and the API keeps to it."""

import os
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import pytest
from django.test import Client

from tests.factories import HOUR, T0, order
from tests.live import BIN, ServerKind, serving

EXAMPLES_PER_OPERATION = 50 if os.environ.get("LIQUI_SOAK") else 10
# A window with orders in it, so that answers with data are compared with the schema, too.
VALID = f"""[parameters]
symbol = "BTCUSDT"
timeframe = "1h"
start_timestamp = "{T0}"
end_timestamp = "{T0 + 5 * HOUR}"
"""

Write = Callable[..., Any]
Schema = dict[str, Any]


@pytest.fixture
def schema(client: Client) -> Schema:
    response: Any = client.get("/openapi.json")
    assert response.status_code == 200
    return response.json()


def operations(schema: Schema) -> Iterator[tuple[str, Schema]]:
    for path, item in schema["paths"].items():
        for method, operation in item.items():
            yield f"{method} {path}", operation


def test_the_schema_lists_the_paths_of_the_contract(schema: Schema) -> None:
    assert schema["openapi"].startswith("3.")
    assert {name for name, _ in operations(schema)} >= {
        "get /api/liquidations",
        "get /api/symbols",
        "get /api/liquidation-orders",
        "get /api/liquidation-orders/stream",
    }


def test_every_operation_and_parameter_is_described(schema: Schema) -> None:
    for name, operation in operations(schema):
        assert operation["summary"], name
        assert operation["description"], name
        for parameter in operation.get("parameters", []):
            assert parameter.get("description"), (name, parameter["name"])
            assert parameter["in"] in ("query", "path")


def test_every_answer_is_described_and_has_an_example(schema: Schema) -> None:
    for name, operation in operations(schema):
        for status, response in operation["responses"].items():
            assert response["description"], (name, status)
            for content in response["content"].values():
                assert content["schema"], (name, status)
                assert content.get("examples"), (name, status)


def test_every_error_of_an_operation_is_listed(schema: Schema) -> None:
    listed = {name: set(operation["responses"]) for name, operation in operations(schema)}
    database = {"200", "503", "504"}
    assert listed["get /api/liquidations"] == {"400", "404", "422"} | database
    assert listed["get /api/symbols"] == database
    assert listed["get /api/liquidation-orders"] == {"400", "404", "422"} | database
    assert listed["get /api/liquidation-orders/stream"] == {"400", "422"} | database


def test_bounds_defaults_and_choices_are_in_the_schema(schema: Schema) -> None:
    parameters = {
        (name, parameter["name"]): parameter
        for name, operation in operations(schema)
        for parameter in operation.get("parameters", [])
    }
    limit = parameters["get /api/liquidation-orders", "limit"]["schema"]
    assert (limit["type"], limit["minimum"], limit["maximum"]) == ("integer", 1, 1000)
    size = parameters["get /api/liquidation-orders/stream", "batch_size"]["schema"]
    assert (size["minimum"], size["maximum"], size["default"]) == (1, 5000, 1000)
    assert parameters["get /api/liquidations", "symbol"]["required"] is True
    assert parameters["get /api/liquidations", "fill"]["schema"]["enum"] == ["none", "zero"]


@pytest.mark.parametrize("path", ["/docs", "/redoc"])
def test_the_pages_load_nothing_from_elsewhere(client: Client, path: str) -> None:
    page: Any = client.get(path)
    html = page.getvalue().decode()
    assert (page.status_code, page.headers["Content-Type"].split(";")[0]) == (200, "text/html")
    assert not re.findall(r"(?:https?:)?//[\w.-]+\.\w+", html)
    assets = re.findall(r"(?:src|href)=[\"']([^\"']+)[\"']", html)
    assets = [asset for asset in assets if not asset.startswith("data:")]
    assert assets
    for asset in assets:
        response: Any = client.get(urljoin(path, asset))
        assert (response.status_code, bool(response.getvalue())) == (200, True), asset
    assert "/openapi.json" in html


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "configuration"), [("asgi", ""), ("wsgi", VALID)], ids=["any", "valid"])
def test_schemathesis_finds_no_failure(write: Write, kind: ServerKind, tmp_path: Path, configuration: str) -> None:
    write([order(T0 + 7 * minutes * 60_000, price=None if minutes % 5 == 0 else "42000.5") for minutes in range(40)])
    write([order(T0 + 60_000, symbol=symbol) for symbol in ("币安人生USDT", "ETHUSDT", "BTCUSDT_240927")])
    (tmp_path / "schemathesis.toml").write_text(configuration)
    with serving(kind, tmp_path) as live:
        done = subprocess.run(
            [
                *(str(BIN / "st"), "run", f"{live.root}/openapi.json"),
                *("--phases", "examples,coverage,fuzzing", "--max-examples", str(EXAMPLES_PER_OPERATION)),
                # A start after its end, or a window together with a limit, is well-formed and still a 400.
                *("--exclude-checks", "positive_data_acceptance"),
                *("--seed", "1", "--no-color", "--warnings", "off"),
            ],
            cwd=tmp_path,
            capture_output=True,
            text=True,
        )
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-1000:]
    [tested] = re.findall(r"Tested: (\d+)", done.stdout)
    assert int(tested) >= 4
