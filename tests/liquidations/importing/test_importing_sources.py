import gzip
import io
import os
import tracemalloc
import zipfile
from pathlib import Path

import pytest
import zstandard

from liquidations.importing import sources
from liquidations.importing.sources import Source, SourceFile, files_find

ROW = b"BTC,BUY,LIMIT,IOC,1,84000.1,83999.5,FILLED,1,1,%d,984.37\n"
ARCHIVE = b"""time,side,order_type,time_in_force,original_quantity,price,average_price,order_status,last_fill_quantity,\
accumulated_fill_quantity
1685577600123,SELL,LIMIT,IOC,26,26000.0,25000.0,FILLED,13,26
1685577600123,SELL,LIMIT,IOC,26,26000.0,25000.0,FILLED,13,26
"""


def rows(count: int, first: int = 1_700_000_000_000) -> bytes:
    return b"".join(ROW % (first + number) for number in range(count))


def zipped(**members: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name.replace("__", "."), content)
    return buffer.getvalue()


PACKERS = {
    "plain": lambda content: content,
    "gz": gzip.compress,
    "two gz members": lambda content: gzip.compress(content[:200]) + gzip.compress(content[200:]),
    "zst": zstandard.compress,
    "two zst frames": lambda content: zstandard.compress(content[:200]) + zstandard.compress(content[200:]),
    "zip": lambda content: zipped(one__csv=content),
    "gz in zip": lambda content: zipped(one__csv=gzip.compress(content)),
    "byte order mark": lambda content: b"\xef\xbb\xbf" + content,
}


@pytest.mark.parametrize("packer", PACKERS)
def test_compression_is_told_by_the_bytes_whatever_the_name(packer: str, import_paths, table, tmp_path: Path) -> None:
    file = tmp_path / "data.bin"
    file.write_bytes(PACKERS[packer](rows(50)))
    summary = import_paths(file).summary
    assert (summary.read, summary.inserted, summary.bad) == (50, 50, [])


@pytest.mark.parametrize("packer", sorted(PACKERS.keys() - {"plain", "byte order mark", "zip", "gz in zip"}))
def test_a_cut_file_is_named_and_its_rows_before_the_cut_stay(packer: str, import_paths, table, tmp_path: Path) -> None:
    packed = PACKERS[packer](rows(50) + os.urandom(300_000).hex().encode() + b"\n")
    file = tmp_path / "cut"
    file.write_bytes(packed[: len(packed) // 2])
    summary = import_paths(file).summary
    [(label, reason)] = summary.bad
    assert summary.inserted == 50
    assert label.startswith(str(file))
    assert "cannot be read" in reason


def test_a_short_file_without_its_end_gives_what_was_flushed_and_is_named(import_paths, tmp_path: Path) -> None:
    packer = zstandard.ZstdCompressor().compressobj()
    file = tmp_path / "short.zst"
    file.write_bytes(packer.compress(rows(50)) + packer.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK))
    summary = import_paths(file).summary
    assert summary.inserted == 50
    assert summary.bad == [(str(file), "cannot be read: the file ends within a zstd frame")]


def test_a_file_that_is_broken_from_its_first_byte_is_named(import_paths, tmp_path: Path) -> None:
    (tmp_path / "broken.zst").write_bytes(zstandard.compress(rows(50))[:4] + b"\xff" * 20)
    [(_, reason)] = import_paths(tmp_path / "broken.zst").summary.bad
    assert reason.startswith("cannot be read: ")


def test_a_cut_zip_has_no_members_left_and_is_named(import_paths, tmp_path: Path) -> None:
    (tmp_path / "cut.zip").write_bytes(zipped(one__csv=rows(50))[:-30])
    assert import_paths(tmp_path / "cut.zip").summary.bad == [
        (str(tmp_path / "cut.zip"), "cannot be read: File is not a zip file")
    ]


def test_folders_are_searched_for_data_and_every_file_is_read_once(import_paths, tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "a.csv").write_bytes(rows(3))
    (tmp_path / "b.csv.gz").write_bytes(gzip.compress(rows(3)))
    for name in ("notes.md", "b.zip.CHECKSUM", ".hidden.csv", "table.sqlite3", "noname"):
        (tmp_path / name).write_text("not data")
    paths = [file.path for file in files_find([str(tmp_path), str(tmp_path / "b.csv.gz")])]
    assert paths == [str(tmp_path / "b.csv.gz"), str(tmp_path / "deep" / "a.csv")]
    summary = import_paths(tmp_path).summary
    assert (summary.read, summary.inserted, summary.duplicates, summary.bad) == (6, 3, 3, [])


def test_patterns_that_the_shell_left_alone_are_matched(tmp_path: Path) -> None:
    for name in ("a1.csv", "a2.csv", "b.csv"):
        (tmp_path / name).touch()
    assert [file.label for file in files_find([str(tmp_path / "a*.csv")])] == [
        str(tmp_path / "a1.csv"), str(tmp_path / "a2.csv"),
    ]  # fmt: skip


def test_a_name_with_brackets_that_exists_is_no_pattern(tmp_path: Path) -> None:
    (tmp_path / "a[1].csv").touch()
    assert [file.label for file in files_find([str(tmp_path / "a[1].csv")])] == [str(tmp_path / "a[1].csv")]


@pytest.mark.parametrize("name", ["missing.csv", "nothing*.csv"])
def test_a_path_that_names_nothing_is_bad_and_the_others_are_read(name: str, import_paths, tmp_path: Path) -> None:
    (tmp_path / "z.csv").write_bytes(rows(2))
    summary = import_paths(tmp_path / name, tmp_path / "z.csv").summary
    assert [label for label, _ in summary.bad] == [str(tmp_path / name)]
    assert summary.inserted == 2


def test_standard_input_is_read_packed_or_not() -> None:
    for content in (rows(3), gzip.compress(rows(3))):
        [file] = files_find(["-", "-"], io.BufferedReader(io.BytesIO(content)))
        [source] = file.sources()
        assert b"".join(source.chunks()) == rows(3)
        assert file.size is None


def test_zip_members_are_archives_of_their_own_names(import_paths, table, tmp_path: Path) -> None:
    file = tmp_path / "all.zip"
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("BTCUSDT-liquidationSnapshot-2023-06-01.csv", ARCHIVE)
        archive.writestr("ETHUSDT-liquidationSnapshot-2023-06-01.csv", ARCHIVE)
        archive.writestr("BTCUSD_PERP-liquidationSnapshot-2023-06-01.csv", ARCHIVE)
        archive.writestr("__MACOSX/._BTCUSDT-liquidationSnapshot-2023-06-01.csv", b"\x00")
    summary = import_paths(file).summary
    assert (summary.inserted, summary.duplicates) == (2, 2)
    assert {order.symbol for order in table.rows.values()} == {"BTCUSDT", "ETHUSDT"}
    [(label, reason)] = summary.bad
    assert label == f"{file}:BTCUSD_PERP-liquidationSnapshot-2023-06-01.csv"
    assert "--contract-size" in reason


def test_the_zip_names_the_symbol_of_a_member_that_does_not(import_paths, table, tmp_path: Path) -> None:
    file = tmp_path / "BTCUSDT-liquidationSnapshot-2023-06-01.zip"
    file.write_bytes(zipped(data__csv=ARCHIVE))
    import_paths(file)
    assert {order.symbol for order in table.rows.values()} == {"BTCUSDT"}


def test_a_broken_member_does_not_keep_the_others_of_its_zip_from_being_read(import_paths, tmp_path: Path) -> None:
    packed = bytearray(zipped(a__csv=rows(1000), b__csv=rows(3)))
    packed[100:120] = b"\xff" * 20
    file = tmp_path / "broken.zip"
    file.write_bytes(packed)
    summary = import_paths(file, format="recorder").summary
    assert [label for label, _ in summary.bad] == [f"{file}:a.csv"]
    assert summary.inserted >= 3


@pytest.mark.parametrize("chunk", [1, 7, 64, 1 << 20])
def test_lines_are_the_same_whatever_pieces_they_come_in(chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "CHUNK_BYTES", chunk)
    monkeypatch.setattr(sources, "HEAD_BYTES", chunk)
    content = b"one\n\nthree\r\nfour"
    lines = list(Source("x", ("x",), io.BytesIO(content)).lines())
    assert lines == list(enumerate(content.split(b"\n"), 1))


@pytest.mark.parametrize("chunk", [1, 3, 1 << 20])
def test_a_line_without_an_end_is_cut_and_costs_one_line(chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "CHUNK_BYTES", chunk)
    monkeypatch.setattr(sources, "HEAD_BYTES", chunk)
    monkeypatch.setattr(sources, "MAX_LINE_BYTES", 8)
    lines = list(Source("x", ("x",), io.BytesIO(b"one\n" + b"x" * 100 + b"\nthree\n" + b"y" * 100)).lines())
    assert [number for number, _ in lines] == [1, 2, 3, 4]
    assert [line[:8] for _, line in lines] == [b"one", b"x" * 8, b"three", b"y" * 8]


@pytest.mark.parametrize("packer", ["plain", "gz", "zst", "zip"])
def test_memory_does_not_grow_with_the_file(packer: str, tmp_path: Path) -> None:
    def peak(count: int) -> int:
        file = tmp_path / f"{count}"
        file.write_bytes(PACKERS[packer](rows(1000) * count))
        tracemalloc.start()
        for source in SourceFile(str(file)).sources():
            for _ in source.lines():
                pass
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return peak

    assert peak(400) < 1.5 * peak(100) + 1_000_000
