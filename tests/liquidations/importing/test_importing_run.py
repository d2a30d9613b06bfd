"""The loop: everything counted once, interruptions, progress."""

import io
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from liquidations.importing.formats import FORMATS, ReadOptions
from liquidations.importing.progress import Bar, Lines, duration
from liquidations.importing.run import MAX_REASONS, Importer
from liquidations.importing.sources import Source, files_find
from liquidations.types import WriteResult

ROWS = [f"BTC,BUY,LIMIT,IOC,{n},84000.1,None,FILLED,1,1,{1_700_000_000_000 + n},9" for n in range(1, 1001)]
FORCE_ORDER = {
    "e": "forceOrder",
    "o": {"s": "BTCUSDT", "S": "BUY", "q": "1", "p": "84000.1", "ap": "83999.5", "z": "1", "T": 1_700_000_000_001},
}
LINES = st.one_of(
    st.binary(max_size=80).map(lambda line: line.replace(b"\n", b"")),
    st.sampled_from(ROWS[:5]).map(str.encode),
    st.just(json.dumps(FORCE_ORDER).encode()),
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=8),
        lambda inner: (
            st.lists(inner, max_size=2)
            | st.dictionaries(st.sampled_from(["e", "o", "data", "symbol", "s", "q", "T", "error"]), inner, max_size=4)
        ),
        max_leaves=6,
    ).map(lambda value: json.dumps(value).encode()),
    st.lists(st.sampled_from(["BTC", "BUY", "1", "NaN", "-1", '"', "", "1700000000000", "٣"]), max_size=13).map(
        lambda cells: ",".join(cells).encode()
    ),
)


def counted(importer: Importer) -> int:
    summary = importer.summary
    written = summary.inserted + summary.completed + summary.duplicates
    return written + summary.rejected.total() + summary.skipped.total()


@given(lines=st.lists(LINES, max_size=12), format=st.sampled_from(["recorder", "headed", "forceorder", "export"]))
def test_any_bytes_are_counted_line_by_line_and_never_raise(lines: list[bytes], format: str) -> None:
    importer = Importer(lambda orders: WriteResult(inserted=len(orders)), batch_rows=3)
    # The first line decides whether lines count at all in JSON: an array or an indented object has no lines.
    content = b"\n".join([b"first", *lines])
    importer.take_source(Source("x", ("x",), io.BytesIO(content)), ReadOptions(), format, lambda: 0)
    expected = 1 + sum(bool(line.strip()) and not holds_several(line) for line in lines)
    assert importer.summary.read == counted(importer)
    assert importer.summary.read >= expected
    if format in ("recorder", "headed"):
        assert importer.summary.read == 1 + sum(bool(line.strip()) for line in lines)


def holds_several(line: bytes) -> bool:
    """A JSON array, or an envelope, gives a record for each of its elements."""
    return line.lstrip().startswith(b"[") or b'"data"' in line


@given(content=st.binary(max_size=400), format=st.sampled_from([None, *FORMATS]))
def test_any_file_is_read_or_named_bad(content: bytes, format: str | None) -> None:
    importer = Importer(lambda orders: WriteResult(inserted=len(orders)))
    importer.take_source(Source("x", ("x",), io.BytesIO(content)), ReadOptions(), format, lambda: 0)
    assert importer.summary.read == counted(importer)


@given(st.text(alphabet='[]{}",:\n 1e"dataorder_trade_timeforceOrder', max_size=200))
def test_any_json_document_is_read_or_named_bad(text: str) -> None:
    importer = Importer(lambda orders: WriteResult(inserted=len(orders)))
    source = Source("x", ("x",), io.BytesIO(b"[" + text.encode()))
    importer.take_source(source, ReadOptions(), "export", lambda: 0)
    assert importer.summary.read == counted(importer)


def test_duplicates_within_and_across_files_and_runs_are_inserted_once(import_paths, table, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("\n".join(ROWS + ROWS[:10]))
    (tmp_path / "b.csv").write_text("\n".join(ROWS[500:]))
    summary = import_paths(tmp_path / "a.csv", tmp_path / "b.csv").summary
    assert (summary.read, summary.inserted, summary.duplicates) == (1510, 1000, 510)
    again = import_paths(tmp_path).summary
    assert (again.inserted, again.duplicates) == (0, 1510)
    assert len(table.rows) == 1000


def test_a_second_sighting_completes_a_missing_average_price(import_paths, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(ROWS[0])
    (tmp_path / "b.csv").write_text(ROWS[0].replace("None", "83999.5"))
    summary = import_paths(tmp_path).summary
    assert (summary.inserted, summary.completed, summary.duplicates) == (1, 1, 0)


@pytest.mark.parametrize("batches", [0, 1, 4, 9])
def test_interrupted_anywhere_and_run_again_the_table_is_as_if_run_once(batches: int, table, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("\n".join(ROWS))
    table.fail_after = batches
    importer = Importer(table, batch_rows=100)
    with pytest.raises(ConnectionError):
        importer.take_files(files_find([str(tmp_path)]), ReadOptions())
    assert importer.summary.read == importer.summary.inserted == len(table.rows) == batches * 100
    table.fail_after = None
    importer = Importer(table, batch_rows=100)
    importer.take_files(files_find([str(tmp_path)]), ReadOptions())
    assert (importer.summary.inserted, importer.summary.duplicates) == (1000 - batches * 100, batches * 100)
    assert len(table.rows) == 1000


def test_rows_that_the_writer_refuses_are_reported_with_their_line(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("\n".join([ROWS[0], "junk", ROWS[1]]))
    rejects: list[tuple[int, str, bytes]] = []
    importer = Importer(
        lambda orders: WriteResult(inserted=len(orders) - 1, rejected=[(1, "too long")]),
        lambda label, record, reason: rejects.append((record.line, reason, record.text)),
    )
    importer.take_files(files_find([str(tmp_path)]), ReadOptions())
    assert sorted(rejects) == [(2, "layout: not 12 columns", b"junk"), (3, "too long", ROWS[1].encode())]
    assert importer.summary.rejected.total() == 2


def test_reasons_without_end_do_not_fill_the_memory(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("\n".join(ROWS))
    importer = Importer(lambda orders: WriteResult(rejected=[(n, f"bad {o}") for n, o in enumerate(orders)]))
    importer.take_files(files_find([str(tmp_path)]), ReadOptions())
    assert importer.summary.rejected.total() == 1000
    assert len(importer.summary.rejected) == MAX_REASONS + 1


def test_a_file_of_contracts_is_named_once(import_paths, tmp_path: Path) -> None:
    message = json.dumps(FORCE_ORDER).replace("BTCUSDT", "BTCUSD_PERP")
    (tmp_path / "a.jsonl").write_text(f"{message}\n{message}\n")
    summary = import_paths(tmp_path).summary
    assert summary.rejected.total() == 2
    assert len(summary.bad) == 1


def test_progress_on_no_terminal_is_a_line_now_and_then_with_rate_and_time_left() -> None:
    out = io.StringIO()
    lines = Lines(out, total=1000, every_s=0)
    lines.started_at -= 10
    lines.update(rows=5000, done=250)
    assert "5,000 rows" in out.getvalue()
    assert "/s, 25%, about 30 s left" in out.getvalue()


def test_progress_lines_wait_for_their_time() -> None:
    out = io.StringIO()
    Lines(out, total=None).update(rows=5, done=0)
    assert out.getvalue() == ""


def test_progress_on_a_terminal_is_a_bar_with_the_rate() -> None:
    out = io.StringIO()
    bar = Bar(out, total=1000, unit="B")
    bar.update(rows=5000, done=500)
    bar.bar.refresh()
    assert "5,000 rows" in out.getvalue()
    bar.close()


def test_durations_read_well() -> None:
    assert [duration(seconds) for seconds in (5, 65, 7300)] == ["5 s", "1 min 05 s", "2 h 01 min"]


def test_progress_ends_at_the_total_size(table, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("\n".join(ROWS))
    (tmp_path / "b.csv").write_text("\n".join(ROWS))
    seen: list[int] = []

    class Recorded:
        def update(self, rows: int, done: int) -> None:
            seen.append(done)

        def close(self) -> None: ...

    importer = Importer(table, progress=Recorded(), batch_rows=100)
    importer.take_files(files_find([str(tmp_path)]), ReadOptions())
    assert seen == sorted(seen)
    assert seen[-1] == sum(file.stat().st_size for file in tmp_path.iterdir())
