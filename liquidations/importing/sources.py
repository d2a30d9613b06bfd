"""Finding and opening what is imported: files, folders, globs and standard input, compressed or not, as streams.

Compression is told by a file's first bytes, whatever its name. A stream is read in pieces; nothing holds a whole file.
"""

import glob
import gzip
import io
import lzma
import os
import sys
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext, suppress
from functools import cached_property
from pathlib import Path
from typing import BinaryIO, Protocol

import zstandard

from liquidations.importing.outcomes import Line, SourceUnusable

STDIN = "-"
CHUNK_BYTES = 1 << 20
HEAD_BYTES = 1 << 16  # enough to recognise a format by
MAX_LINE_BYTES = 8 << 20
ZSTD_INPUT_BYTES = 128  # small, because four bytes may unpack to 128 kB
DATA_SUFFIXES = frozenset({".csv", ".json", ".jsonl", ".ndjson", ".txt", ".log", ".tsv"})
PACKED_SUFFIXES = frozenset({".gz", ".zip", ".zst"})
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
# RuntimeError: an encrypted member of a zip; NotImplementedError: a compression that zipfile does not know.
READ_ERRORS = (
    OSError,
    EOFError,
    zlib.error,
    lzma.LZMAError,
    zipfile.BadZipFile,
    zstandard.ZstdError,
    RuntimeError,
    NotImplementedError,
    ValueError,
)


class Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...


class Source:
    """One stream of text: a file, or a member of a zip. ``names`` are the names it goes by, innermost first."""

    def __init__(self, label: str, names: tuple[str, ...], stream: Readable) -> None:
        self.label = label
        self.names = names
        self.stream = stream
        self.fault: SourceUnusable | None = None

    def read(self, size: int) -> bytes:
        """Raises `SourceUnusable`, and from then on again and again."""
        try:
            if self.fault is None:
                return self.stream.read(size)
        except READ_ERRORS as error:
            self.fault = SourceUnusable(f"cannot be read: {describe(error)}")
            raise self.fault from error
        raise self.fault

    @cached_property
    def head(self) -> bytes:
        """The first bytes, up to `HEAD_BYTES`; what `chunks` begins with."""
        head = b""
        try:
            while len(head) < HEAD_BYTES and (piece := self.read(HEAD_BYTES - len(head))):
                head += piece
        except SourceUnusable:
            # A short file that was cut: what is before the cut counts, and `chunks` meets the fault after it.
            if not head:
                raise
        return head.removeprefix(BYTE_ORDER_MARK)

    def chunks(self) -> Iterator[bytes]:
        chunk = self.head
        while chunk:
            yield chunk
            chunk = self.read(CHUNK_BYTES)

    def lines(self) -> Iterator[Line]:
        """Lines with their numbers. A line beyond `MAX_LINE_BYTES` is cut there, so that it cannot fill the memory."""
        count, rest, is_cut = 0, b"", False
        for chunk in self.chunks():
            *whole, rest = (rest + chunk).split(b"\n") if not is_cut else cut_continued(rest, chunk)
            yield from enumerate(whole, count + 1)
            count += len(whole)
            is_cut = len(rest) >= MAX_LINE_BYTES
            rest = rest[:MAX_LINE_BYTES]
        if rest:
            yield count + 1, rest


def cut_continued(cut: bytes, chunk: bytes) -> list[bytes]:
    """Lines of a chunk that begins within a line already cut: the rest of that line is dropped."""
    _, feed, after = chunk.partition(b"\n")
    return [cut, *after.split(b"\n")] if feed else [cut]


class SourceFile:
    """One path to import, and how far reading it has come. ``name``: what it was called where it comes from."""

    def __init__(self, path: str, stdin: BinaryIO | None = None, name: str = "") -> None:
        self.path = path
        self.stdin = stdin
        self.name = name
        self.file: BinaryIO | None = None

    @property
    def label(self) -> str:
        return self.name or ("standard input" if self.path == STDIN else self.path)

    @cached_property
    def size(self) -> int | None:
        """Bytes on disk, compressed; None where nobody can know."""
        with suppress(OSError):
            if self.path != STDIN and Path(self.path).is_file():
                return os.path.getsize(self.path)
        return None

    def position(self) -> int:
        """Bytes of the file consumed so far, at most `size`."""
        with suppress(OSError, ValueError):
            if self.file is not None:
                return self.file.tell()
        return 0

    def sources(self) -> Iterator[Source]:
        """Open the file and give its stream, or those of its members in turn. Raises `SourceUnusable`."""
        try:
            with self.opened() as self.file:
                if is_zip(self.file):
                    yield from zip_sources(self.file, self.label)
                else:
                    yield Source(self.label, (Path(self.name or self.path).name,), decompressed(self.file))
        except READ_ERRORS as error:
            raise SourceUnusable(f"cannot be read: {describe(error)}") from error

    def opened(self) -> AbstractContextManager[BinaryIO]:
        return nullcontext(self.stdin or sys.stdin.buffer) if self.path == STDIN else open(self.path, "rb")


def describe(error: BaseException) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__


def first_bytes(stream: BinaryIO) -> bytes:
    return stream.peek(4)[:4] if isinstance(stream, io.BufferedReader | zipfile.ZipExtFile) else b""


def is_zip(stream: BinaryIO) -> bool:
    return first_bytes(stream) in (b"PK\x03\x04", b"PK\x05\x06")


def decompressed(stream: BinaryIO) -> Readable:
    magic = first_bytes(stream)
    if magic[:2] == b"\x1f\x8b":
        return gzip.GzipFile(fileobj=stream)
    if magic == b"\x28\xb5\x2f\xfd":
        return ZstdReader(stream)
    return stream


def zip_sources(file: BinaryIO, label: str) -> Iterator[Source]:
    if not file.seekable():
        raise SourceUnusable("a zip cannot be read from a pipe: save it to a file first")
    with zipfile.ZipFile(file) as archive:
        for member in archive.infolist():
            # macOS adds a folder of its own to every archive.
            if not member.is_dir() and not member.filename.startswith("__MACOSX/"):
                names = (Path(member.filename).name, Path(label).name)
                yield Source(f"{label}:{member.filename}", names, ZipMember(archive, member))


class ZipMember:
    """A member of a zip, opened when first read: a broken one must not keep the others from being read."""

    def __init__(self, archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> None:
        self.archive = archive
        self.member = member

    @cached_property
    def stream(self) -> Readable:
        return decompressed(self.archive.open(self.member))  # type: ignore[arg-type]

    def read(self, size: int, /) -> bytes:
        return self.stream.read(size)


class ZstdReader:
    """Unpacks one or more frames. Unlike the library's own reader it notices a file that ends within a frame."""

    def __init__(self, stream: BinaryIO) -> None:
        self.stream = stream
        self.frame = zstandard.ZstdDecompressor().decompressobj()
        self.has_begun = False
        self.packed = b""

    def read(self, size: int, /) -> bytes:
        """At least one byte, or none at the end; maybe more than ``size``."""
        pieces: list[bytes] = []
        while size > 0:
            packed = self.packed or self.stream.read(ZSTD_INPUT_BYTES)
            self.packed = b""
            if not packed:
                if self.has_begun and not any(pieces):
                    raise EOFError("the file ends within a zstd frame")
                break
            pieces.append(self.unpack(packed))
            size -= len(pieces[-1])
        return b"".join(pieces)

    def unpack(self, packed: bytes) -> bytes:
        unpacked = self.frame.decompress(packed)
        self.has_begun = not self.frame.eof
        if self.frame.eof:
            self.packed = self.frame.unused_data
            self.frame = zstandard.ZstdDecompressor().decompressobj()
        return unpacked


def files_find(arguments: Iterable[str], stdin: BinaryIO | None = None) -> Iterator[SourceFile]:
    """The files that the arguments name, each once, folders with all they hold that may be data.

    A path that names nothing is given all the same: opening it says so.
    """
    seen: set[str] = set()
    for argument in arguments:
        for path in paths_of(argument):
            identity = path if path == STDIN else os.path.realpath(path)
            if identity not in seen:
                seen.add(identity)
                yield SourceFile(path, stdin)


def paths_of(argument: str) -> list[str]:
    if argument != STDIN and not os.path.lexists(argument) and glob.has_magic(argument):
        # A pattern that the shell left alone: quoted, or on Windows.
        found = sorted(glob.glob(argument, recursive=True))
        return [path for match in found for path in folder_or_file(match)] or [argument]
    return folder_or_file(argument)


def folder_or_file(path: str) -> list[str]:
    if not os.path.isdir(path):
        return [path]
    return sorted(str(file) for file in Path(path).rglob("*") if file.is_file() and may_be_data(file.name))


def may_be_data(name: str) -> bool:
    """Whether a file of a folder is worth opening: checksums, notes and hidden files lie beside the data."""
    suffixes = [suffix.lower() for suffix in Path(name).suffixes]
    if name.startswith(".") or not suffixes:
        return False
    return suffixes[-1] in DATA_SUFFIXES or suffixes[-1] in PACKED_SUFFIXES
