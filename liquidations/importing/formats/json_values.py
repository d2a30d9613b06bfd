"""JSON objects of a file, one line each, or spread over an array or over many lines.

Numbers stay the text that they are in the file: `values` reads them, exactly.
"""

import codecs
import json
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import msgspec

from liquidations.importing.outcomes import (
    MAX_TEXT_BYTES,
    NOT_A_FORCED_ORDER,
    Outcome,
    Record,
    Records,
    Rejected,
    SourceUnusable,
)
from liquidations.importing.sources import MAX_LINE_BYTES, Source

# A recorder's receive time before the message: "1680652700423575 {…}", "1626992741.062: {…}".
RECEIVE_TIME = re.compile(rb"[0-9.]+:?[ \t]+(?=[\[{])").match
SEPARATORS = re.compile(r"[\s,\[\]]*").match
SCALARS = frozenset({str, int, type(None)})

Parse = Callable[[dict[str, Any], bool], Outcome]


class Value(NamedTuple):
    """An object (or a fault) with its line and text. ``in_array``: it stood in a bare array, not in an envelope."""

    line: int
    text: bytes
    value: Any
    in_array: bool


def read_objects(source: Source, parse: Parse) -> Records:
    """``parse(object, in_array)`` on every object of the file; its `Rejected` becomes the outcome."""
    return parse_values(read_values(source), parse)


def parse_values(values: Iterator[Value], parse: Parse) -> Records:
    for line, text, value, in_array in values:
        try:
            outcome = parse(value, in_array) if type(value) is dict else not_an_object(value)
        except Rejected as rejected:
            outcome = rejected
        yield Record(line, text[:MAX_TEXT_BYTES], outcome)


def not_an_object(value: Any) -> Outcome:
    if isinstance(value, Rejected):
        return value
    return NOT_A_FORCED_ORDER if value == [] else Rejected("text: not a JSON object")


def pick_fields(mapping: dict[str, Any], keys: Sequence[str]) -> Sequence[Any]:
    """The values of these keys, None where there is none. Raises `Rejected` for one that is no text and no number."""
    fields = tuple(map(mapping.get, keys))
    if not SCALARS.issuperset(map(type, fields)):
        raise Rejected("fields: one is neither text nor a number")
    return fields


def read_values(source: Source) -> Iterator[Value]:
    return document_values(source) if is_document(source.head) else line_values(source)


def is_document(head: bytes) -> bool:
    """Whether lines mean nothing here: an array, or indented JSON, which begins with a bracket alone on its line."""
    head = head.lstrip()
    return head.startswith(b"[") or head.partition(b"\n")[0].strip() == b"{"


def line_values(source: Source) -> Iterator[Value]:
    decode = msgspec.json.Decoder(float_hook=str).decode
    for number, line in source.lines():
        match = RECEIVE_TIME(line)
        try:
            value = decode(line[match.end() :] if match else line)
        except (ValueError, RecursionError):
            if line.strip():
                yield Value(number, line, Rejected("text: not JSON"), False)
            continue
        if type(value) is dict and type(value.get("data")) is not list:
            yield Value(number, line, value, False)
        else:
            yield from elements(number, line, value)


def elements(number: int, text: bytes, value: Any, in_array: bool = False) -> Iterator[Value]:
    """The objects of an array or of an envelope ({"data": […]}); any other value as it is. One value at least."""
    is_array = type(value) is list
    members = value if is_array else value.get("data") if type(value) is dict else None
    if type(members) is not list or not members:
        yield Value(number, text, value, in_array)
        return
    for member in members:
        yield Value(number, msgspec.json.encode(member), member, in_array or is_array)


def document_values(source: Source) -> Iterator[Value]:
    """Objects one after the other, however they are separated, in bounded memory.

    A fault costs the rest of its line. Raises `SourceUnusable` where the file ends within an array.
    """
    decode = json.JSONDecoder(parse_float=str, parse_int=str, parse_constant=str).raw_decode
    document = Document(source)
    while document.skip_separators():
        start = document.position
        try:
            value, end = decode(document.text, start)
        except (ValueError, RecursionError):
            if len(document.text) - start < MAX_LINE_BYTES and document.extend():
                continue
            yield Value(document.line, document.take_line(), Rejected("text: not JSON"), False)
            continue
        line, in_array = document.line, document.depth > 0
        yield from elements(line, document.take(end), value, in_array)
    if document.depth > 0:
        raise SourceUnusable("ends within its array: it was cut off")


class Document:
    """The part of a text that is being read, and the place in it."""

    def __init__(self, source: Source) -> None:
        self.chunks = source.chunks()
        self.decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self.text, self.position = "", 0
        self.line, self.depth = 1, 0

    def extend(self) -> bool:
        """Forget what has been read and append some more; False at the end of the file."""
        chunk = next(self.chunks, None)
        if chunk is None:
            return False
        self.text = self.text[self.position :] + self.decoder.decode(chunk)
        self.position = 0
        return True

    def take(self, end: int) -> bytes:
        taken = self.text[self.position : end]
        self.line += taken.count("\n")
        self.position = end
        return taken.encode("utf-8", "replace")

    def take_line(self) -> bytes:
        end = self.text.find("\n", self.position)
        return self.take(len(self.text) if end < 0 else end)

    def skip_separators(self) -> bool:
        """Go to the next object; False when there is none."""
        while True:
            match = SEPARATORS(self.text, self.position)
            separators = self.take(match.end() if match else self.position)
            self.depth += separators.count(b"[") - separators.count(b"]")
            if self.position < len(self.text):
                return True
            if not self.extend():
                return False
