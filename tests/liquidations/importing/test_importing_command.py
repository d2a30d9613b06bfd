"""`manage.py import_liquidations` over the real table."""

import csv
import gzip
import io
import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import OperationalError, connection
from django.test import Client

from liquidations.importing.api import LiquiClient, take_over
from liquidations.importing.checkpoint import Checkpoint
from liquidations.importing.run import Importer
from liquidations.models import LiquidationOrder
from liquidations.services import orders_write
from liquidations.types import ForcedOrder
from tests.factories import T0, order
from tests.live import wait_until

ROOT = Path(__file__).resolve().parents[3]
ROW = "BTC,BUY,LIMIT,IOC,{n},84000.1,None,FILLED,1,1,{t},9\n"

pytestmark = pytest.mark.django_db


def rows(count: int, first: int = 0) -> str:
    return "".join(ROW.format(n=n + 1, t=T0 + n) for n in range(first, first + count))


def run(*arguments: object, **options: object) -> str:
    out = io.StringIO()
    call_command("import_liquidations", *map(str, arguments), stdout=out, stderr=out, **options)
    return out.getvalue()


def stored() -> list[ForcedOrder]:
    return [
        ForcedOrder(*row)
        for row in LiquidationOrder.objects.order_by("order_trade_time").values_list(*ForcedOrder._fields)
    ]


def figure(output: str, name: str) -> int:
    [line] = [line for line in output.splitlines() if line.startswith(name)]
    return int(line.split()[1].replace(",", ""))


def test_the_summary_names_the_database_and_every_figure(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(rows(5) + rows(2) + "junk\n" + rows(1).replace("None", "83999.5"))
    output = run(tmp_path)
    assert output.startswith("Writing to ")
    assert "binance_liqs" in output
    assert [figure(output, name) for name in ("read", "inserted", "completed", "duplicates", "rejected")] == [
        9,
        5,
        1,
        2,
        1,
    ]
    assert "layout: not 12 columns" in output
    assert LiquidationOrder.objects.count() == 5


def test_running_it_again_changes_nothing(tmp_path: Path) -> None:
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(rows(5).encode()))
    run(tmp_path)
    before = stored()
    output = run(tmp_path)
    assert (figure(output, "inserted"), figure(output, "duplicates")) == (0, 5)
    assert stored() == before


def test_a_bad_file_is_named_and_the_exit_status_is_not_zero_but_the_rest_is_imported(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("hello\n")
    (tmp_path / "b.csv").write_text(rows(3))
    out = io.StringIO()
    with pytest.raises(CommandError, match="2 bad sources") as error:
        call_command("import_liquidations", str(tmp_path), str(tmp_path / "missing.csv"), stdout=out, stderr=out)
    assert error.value.returncode == 1
    assert f"bad: {tmp_path / 'a.csv'}: its format is not recognised" in out.getvalue()
    assert f"bad: {tmp_path / 'missing.csv'}: cannot be read: No such file or directory" in out.getvalue()
    assert LiquidationOrder.objects.count() == 3


def test_a_bad_row_alone_is_no_failure(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(rows(3) + "junk\n")
    assert figure(run(tmp_path), "rejected") == 1


def test_rejects_are_written_with_file_line_reason_and_text(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(rows(1) + 'junk,"\n' + rows(1).replace("BUY", "HOLD"))
    run(tmp_path / "a.csv", "--rejects", tmp_path / "rejects.csv")
    with (tmp_path / "rejects.csv").open() as file:
        assert list(csv.reader(file)) == [
            ["file", "line", "reason", "text"],
            [str(tmp_path / "a.csv"), "2", "layout: not 12 columns", 'junk,"'],
            [str(tmp_path / "a.csv"), "3", "side: neither BUY nor SELL", rows(1).replace("BUY", "HOLD").strip()],
        ]


def test_a_dry_run_checks_everything_and_writes_nothing(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(rows(3) + "junk\n")
    output = run(tmp_path, "--dry-run")
    assert "writing nothing" in output
    assert (figure(output, "read"), figure(output, "inserted"), figure(output, "rejected")) == (4, 0, 1)
    assert LiquidationOrder.objects.count() == 0


def test_an_interruption_prints_what_is_committed_and_exits_as_a_shell_expects(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.csv").write_text(rows(9000))
    batches = 0

    def interrupted(orders):
        nonlocal batches
        batches += 1
        if batches == 2:
            raise KeyboardInterrupt
        return orders_write(orders)

    monkeypatch.setattr("liquidations.management.commands.import_liquidations.orders_write", interrupted)
    out = io.StringIO()
    with pytest.raises(CommandError, match="interrupted") as error:
        call_command("import_liquidations", str(tmp_path), stdout=out, stderr=out)
    assert error.value.returncode == 130
    assert figure(out.getvalue(), "inserted") == LiquidationOrder.objects.count() == 4000
    monkeypatch.undo()
    assert figure(run(tmp_path), "inserted") == 5000
    assert LiquidationOrder.objects.count() == 9000


def test_a_database_that_fails_is_said_with_what_is_committed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(orders):
        raise OperationalError(2006, "server has gone away")

    monkeypatch.setattr("liquidations.management.commands.import_liquidations.orders_write", away)
    (tmp_path / "a.csv").write_text(rows(3))
    with pytest.raises(CommandError, match="gone away"):
        run(tmp_path)


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ([], "Name files to import"),
        (["a.csv", "--from-api", "http://x"], "one of the two"),
        (["a.csv", "--since", "0"], "belong to --from-api"),
        (["a.csv", "--symbol", "A", "--symbol", "B"], "several times"),
        (["a.csv", "--contract-size", "ten"], "--contract-size: not a number"),
        (["a.csv", "--contract-size", "0"], "above 0"),
        (["a.csv", "--rejects", "/nowhere/rejects.csv"], "No such file"),
        (["a.csv", "--format", "excel"], "invalid choice"),
    ],
)
def test_wrong_options_are_one_clear_line(arguments: list[str], complaint: str) -> None:
    with pytest.raises(CommandError, match=complaint):
        run(*arguments)


def test_an_export_imported_again_is_the_same_table(client: Client, committed: None, tmp_path: Path) -> None:
    orders = [
        order(T0 + 1, quantity="0.0000000001", price="84000.1234567890", average_price=None),
        order(T0 + 2, "币安人生USDT", "BUY", quantity="12345678.5", price=None),
        order(T0 + 3, average_price="0", last_filled=None),
        *(order(T0 + n, "BTCUSDT_261225", quantity=f"{n}.001") for n in range(10, 60)),
    ]
    orders_write(orders)
    before = stored()
    for number, symbol in enumerate(["BTCUSDT", "币安人生USDT", "BTCUSDT_261225"]):
        window = {"symbol": symbol, "start_timestamp": T0, "end_timestamp": T0 + 100, "numbers": "string"}
        answer = client.get("/api/liquidation-orders/stream", window)
        (tmp_path / f"{number}.jsonl").write_bytes(b"".join(answer.streaming_content))
    assert figure(run(tmp_path), "duplicates") == len(orders)
    with connection.cursor() as cursor:
        cursor.execute(f"DELETE FROM {LiquidationOrder._meta.db_table}")
    assert figure(run(tmp_path), "inserted") == len(orders)
    assert stored() == before


def test_an_export_of_one_table_taken_over_from_its_api_is_the_same_table(
    client: Client, table, tmp_path: Path
) -> None:
    orders_write([order(T0 + n // 3, quantity=f"{n}.001") for n in range(2500)])

    def answer(request: httpx.Request) -> httpx.Response:
        mine = client.get(request.url.path, dict(request.url.params))
        return httpx.Response(mine.status_code, content=mine.content)

    with httpx.Client(transport=httpx.MockTransport(answer)) as http:
        importer = Importer(table)
        source = LiquiClient("http://ours", http)
        checkpoint = Checkpoint(tmp_path, source.base, "memory", 0, T0 + 10_000)
        take_over(importer, source, source.symbols(), checkpoint)
    assert importer.summary.bad == []
    assert sorted(table.rows.values(), key=str) == sorted(stored(), key=str)


class OneOrder(BaseHTTPRequestHandler):
    """The smallest liqui_api."""

    def do_GET(self) -> None:
        status, body = self.answer()
        self.send_response(status)
        self.end_headers()
        self.wfile.write(json.dumps(body).encode())

    def answer(self) -> tuple[int, object]:
        if self.path == "/api/symbols":
            return 200, ["BTCUSDT"]
        if "symbol=BTCUSDT" in self.path:
            row = {**order(T0)._asdict(), "order_trade_time": T0}
            row = {name: str(value) if "price" in name or "quantity" in name else value for name, value in row.items()}
            return 200, {"data": [row], "pagination": {"has_more": False}}
        return (422, {}) if self.path.startswith("/api/liquidation-orders") else (404, {"detail": "Not Found"})

    def log_message(self, format: str, *args: object) -> None: ...


def test_from_api_imports_over_http(tmp_path: Path, settings) -> None:
    settings.LIQUI_HOME = tmp_path
    with ThreadingHTTPServer(("127.0.0.1", 0), OneOrder) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        output = run("--from-api", f"http://127.0.0.1:{server.server_port}")
        server.shutdown()
    assert figure(output, "inserted") == 1
    assert stored() == [order(T0)]
    assert list((tmp_path / "imports").glob("*")) == []


def test_from_api_without_a_service_is_named_bad(settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("liquidations.importing.api.ATTEMPTS", 1)
    with pytest.raises(CommandError, match="1 bad source"):
        run("--from-api", "http://127.0.0.1:9")


@pytest.mark.slow
def test_ctrl_c_of_the_real_program_leaves_a_table_that_a_second_run_completes(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(rows(200_000))
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("DB_", "DATABASE_", "REDIS_"))},
        "LIQUI_HOME": str(tmp_path / "home"), "LIQUI_ENV_FILE": "", "FEED": "none",
    }  # fmt: skip
    command = [sys.executable, "manage.py", "import_liquidations", str(tmp_path / "a.csv")]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=pipe, stderr=pipe, text=True) as program:
        # In the middle of its work, however fast this machine is today.
        wait_until(lambda: rows_in(tmp_path / "home" / "liqui.sqlite3") > 0, 60, "it stores")
        program.send_signal(signal.SIGINT)
        output, _ = program.communicate(timeout=60)
    assert program.returncode == 130
    committed = figure(output, "inserted")
    again = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert again.returncode == 0
    assert figure(again.stdout, "duplicates") == committed
    assert figure(again.stdout, "inserted") == 200_000 - committed


def rows_in(database: Path) -> int:
    """How many orders another program has stored there; 0 while it is still making its tables."""
    with suppress(sqlite3.OperationalError), closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as reader:
        return reader.execute("SELECT COUNT(*) FROM binance_liqs").fetchone()[0]
    return 0
